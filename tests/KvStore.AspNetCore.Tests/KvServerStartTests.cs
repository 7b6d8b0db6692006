using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.AspNetCore.Tests;

/// <summary>A server that cannot start says in one line which setting is at fault and what to do, and changes nothing.</summary>
public sealed class KvServerStartTests : IDisposable
{
    private static readonly string[] s_anyAddress = ["--urls", "http://127.0.0.1:0", "--binding-url", "http://127.0.0.1:0"];

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-server-start-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("short", null, "KVSTORE_TOKEN")]
    [InlineData("with a space in it, and long", null, "KVSTORE_TOKEN")]
    [InlineData(null, "short", "KVSTORE_BINDING_SECRET")]
    public async Task A_secret_that_cannot_be_used_is_named_and_not_shown(string? token, string? secret, string setting)
    {
        var error = await FailAsync(s_anyAddress, token, secret);

        error.Should().Contain(setting).And.Contain("16 to 512").And.NotContain(token ?? secret);
        Directory.Exists(Path.Combine(_directory, "data")).Should().BeFalse();
    }

    [Theory]
    [InlineData("--urls")]
    [InlineData("--binding-url")]
    public async Task A_port_that_is_taken_costs_no_token(string setting)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var other = setting == "--urls" ? "--binding-url" : "--urls";

        var error = await FailAsync([setting, $"http://127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}", other, "http://127.0.0.1:0"]);

        error.Should().Contain($"{setting}: ").And.Contain("in use");
        File.Exists(Path.Combine(_directory, "data", "token.sha256")).Should().BeFalse("nobody has seen the token");
    }

    [Theory]
    [InlineData("nonsense", "http://")]
    [InlineData("127.0.0.1:8787", "http://")]
    [InlineData("8787", "http://")]
    [InlineData("ftp://127.0.0.1:0", "http://")]
    [InlineData("http:/127.0.0.1:0", "http://")]
    [InlineData("http://", "host")]
    [InlineData("http://:8787", "host")]
    [InlineData("http://256.1.1.1:0", "host")]
    [InlineData("http://127.0.0.1.1:0", "host")]
    [InlineData("http://no-such-host.example:0", "host")]
    [InlineData("http://::1:0", "[::1]")]
    [InlineData("http://[::1:0", "host")]
    [InlineData("http://[127.0.0.1]:0", "host")]
    [InlineData("http://127.0.0.1:port", "0 to 65535")]
    [InlineData("http://127.0.0.1:99999", "0 to 65535")]
    [InlineData("http://127.0.0.1:-1", "0 to 65535")]
    [InlineData("http://127.0.0.1:", "0 to 65535")]
    [InlineData("http://localhost:0", "http://127.0.0.1:0")]
    [InlineData("http://127.0.0.1:0/api", "path")]
    [InlineData("http://127.0.0.1:0?a=b", "path")]
    [InlineData("http://user@127.0.0.1:0", "host")]
    [InlineData("http://unix:/kv.sock", "host")]
    [InlineData("http://203.0.113.7:0", "no address of this machine")]
    [InlineData("https://127.0.0.1:0", "certificate")]
    [InlineData(";", "http://")]
    [InlineData("http://127.0.0.1:0;nonsense", "http://")]
    [InlineData("http://127.0.0.1:18787;http://127.0.0.1:18787", "18787")]
    [InlineData("http://127.0.0.1:18787;http://*:18787", "18787")]
    [InlineData("http://localhost:18787;http://127.0.0.1:18787/", "18787")]
    [InlineData("http://0.0.0.0:18787;http://[::]:18787", "18787")]
    public async Task An_address_that_cannot_be_had_is_named_with_what_is_allowed(string url, string remedy)
    {
        foreach (var setting in new[] { "--urls", "--binding-url" })
        {
            var other = setting == "--urls" ? "--binding-url" : "--urls";

            var error = await FailAsync([setting, url, other, "http://127.0.0.1:0"]);

            error.Should().Contain($"{setting}: ").And.Contain(remedy).And.NotContain("Stop the program").And.NotContain("address It");
            File.Exists(Path.Combine(_directory, "data", "token.sha256")).Should().BeFalse("nobody has seen the token");
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:18789", "http://127.0.0.1:18789")]
    [InlineData("http://*:18789", "http://localhost:18789")]
    public async Task Two_settings_with_one_address_are_named(string url, string bindingUrl) =>
        (await FailAsync(["--urls", url, "--binding-url", bindingUrl])).Should().Contain("--binding-url: ").And.Contain("18789").And.NotContain("Stop the program");

    [Fact]
    public async Task Address_in_a_variable_of_the_environment_is_checked_too() =>
        (await FailAsync(["--binding-url", "http://127.0.0.1:0"], environment: ("ASPNETCORE_URLS", "http://256.1.1.1:0"))).Should().Contain("--urls: ").And.Contain("ASPNETCORE_URLS");

    [Theory]
    [InlineData("--new-tokne")]
    [InlineData("--dta", "elsewhere")]
    [InlineData("--help")]
    [InlineData("--http_ports", "8790")]
    [InlineData("elsewhere")]
    public async Task An_option_that_is_unknown_is_named_and_nothing_is_made(params string[] options)
    {
        var error = await FailAsync([.. options, .. s_anyAddress]);

        error.Should().Contain($"{options[0]}: there is no such option").And.Contain("--new-token");
        Directory.GetFileSystemEntries(_directory).Should().BeEmpty();
    }

    [Theory]
    [InlineData("--data", "")]
    [InlineData("--data=")]
    [InlineData("--data", "--new-token")]
    public async Task An_option_without_its_value_is_named(params string[] options) =>
        (await FailAsync([.. s_anyAddress, .. options])).Should().Contain("--data: the value is missing");

    [Fact]
    public async Task A_directory_that_cannot_be_had_is_named()
    {
        File.WriteAllText(Path.Combine(_directory, "file"), "");

        (await FailAsync([.. s_anyAddress, "--data", Path.Combine("file", "data")])).Should().Contain("--data: ");
        (await FailAsync([.. s_anyAddress, "--data", "file"])).Should().Contain("--data: ");
    }

    [Fact]
    public async Task A_directory_that_another_server_has_open_is_named_with_its_process()
    {
        using var server = await KvServerProcess.StartAsync(_directory);

        (await FailAsync(s_anyAddress)).Should().Contain("--data: ").And.Contain("is open already, in process ");
    }

    [Fact]
    public async Task The_directory_of_an_applications_namespace_is_left_as_it_is()
    {
        var data = Path.Combine(_directory, "cache");
        await using (var kv = await KvNamespace.OpenAsync("CACHE", new KvNamespaceOptions { Persistence = new FilePersistence(data) }))
        {
            await kv.PutAsync("k", "v");
        }

        var before = Directory.GetFileSystemEntries(data);

        var error = await FailAsync([.. s_anyAddress, "--data", "cache"]);

        error.Should().Contain("--data: ").And.Contain("belongs to a namespace");
        Directory.GetFileSystemEntries(data).Should().BeEquivalentTo(before);
    }

    [Theory]
    [InlineData("token.sha256", "nonsense")]
    [InlineData("catalog.json", "{")]
    public async Task A_file_that_is_damaged_is_named(string name, string content)
    {
        Directory.CreateDirectory(Path.Combine(_directory, "data"));
        File.WriteAllText(Path.Combine(_directory, "data", name), content);

        (await FailAsync(s_anyAddress)).Should().Contain("--data: ").And.Contain(name);

        File.ReadAllText(Path.Combine(_directory, "data", name)).Should().Be(content);
    }

    [Theory]
    [InlineData("--new-token", "a-token-that-is-given-to-it", null)]
    [InlineData("--new-binding-secret", null, "a-secret-that-is-given-to-it")]
    [InlineData("--open-binding", null, "a-secret-that-is-given-to-it")]
    public async Task A_flag_that_contradicts_a_secret_is_named(string flag, string? token, string? secret) =>
        (await FailAsync([.. s_anyAddress, flag], token, secret)).Should().Contain(flag);

    [Theory]
    [InlineData("KvCatalog:Persistence:Directory", "elsewhere")]
    [InlineData("KvCatalog:Persistence:Enabled", "false")]
    [InlineData("KvCatalog:Persistence:Durability", "nonsense")]
    [InlineData("KvCatalog:Limits:KeyBytesMax", "nonsense")]
    public async Task A_setting_of_the_catalog_that_cannot_be_followed_is_named(string setting, string value)
    {
        (await FailAsync([.. s_anyAddress, "--" + setting, value])).Should().Contain(setting);

        File.Exists(Path.Combine(_directory, "data", "catalog.json")).Should().BeFalse();
        Directory.Exists(Path.Combine(_directory, "elsewhere")).Should().BeFalse();
    }

    [Fact]
    public async Task Output_that_cannot_be_written_is_named_and_costs_no_token()
    {
        if (!File.Exists("/dev/full"))
        {
            return;
        }

        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec dotnet \"$0\" \"$@\" > /dev/full", Path.Combine(AppContext.BaseDirectory, "KvServer.dll"), .. s_anyAddress])
        {
            RedirectStandardError = true,
            WorkingDirectory = _directory,
        };
        using var process = Process.Start(start)!;
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();

        process.ExitCode.Should().Be(1, error);
        error.TrimEnd('\n').Should().StartWith("KvServer did not start. The standard output cannot be written: ").And.NotContain("\n");
        File.Exists(Path.Combine(_directory, "data", "token.sha256")).Should().BeFalse("nobody has seen the token");
    }

    [Fact]
    public async Task Server_that_is_stopped_while_it_starts_ends_without_an_exception()
    {
        // As Ctrl+C does it, in the moment between the signal handlers and the addresses.
        using var stopping = DiagnosticListener.AllListeners.Subscribe(new StoppedHosts(_directory));
        var main = Assembly.LoadFrom(Path.Combine(AppContext.BaseDirectory, "KvServer.dll")).EntryPoint!;

        string[] arguments = ["--data", _directory, .. s_anyAddress];

        var exitCode = await Task.Run(() => main.Invoke(null, [arguments])).WaitAsync(TimeSpan.FromMinutes(2));

        exitCode.Should().Be(0);
        File.Exists(Path.Combine(_directory, "token.sha256")).Should().BeFalse("nobody has seen the token");
    }

    private async Task<string> FailAsync(string[] arguments, string? token = null, string? secret = null, (string Name, string Value)? environment = null)
    {
        var (code, printed, error) = await KvServerProcess.FailAsync(_directory, arguments, token, secret, environment);
        code.Should().Be(1, error + printed);
        printed.Should().BeEmpty();
        error.TrimEnd('\n').Should().StartWith("KvServer did not start. ").And.NotContain("\n").And.NotContain("   at ");
        return error;
    }

    /// <summary>Stops the host of a directory as soon as it is built, before it starts.</summary>
    private sealed class StoppedHosts(string data) : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>
    {
        public void OnNext(DiagnosticListener value)
        {
            if (value.Name == "Microsoft.Extensions.Hosting")
            {
                value.Subscribe(this);
            }
        }

        public void OnNext(KeyValuePair<string, object?> value)
        {
            if (value is { Key: "HostBuilt", Value: IHost host } && host.Services.GetRequiredService<IConfiguration>()["data"] == data)
            {
                host.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            }
        }

        public void OnError(Exception error)
        {
        }

        public void OnCompleted()
        {
        }
    }
}
