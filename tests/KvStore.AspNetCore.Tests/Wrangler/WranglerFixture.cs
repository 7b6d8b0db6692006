using System.Diagnostics;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests.Wrangler;

/// <summary>The real wrangler, pointed at a server of its own whose catalog lies on the disk.</summary>
public sealed class WranglerFixture : IAsyncLifetime
{
    private const string Token = "the-token-that-wrangler-has";

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-wrangler-").FullName;
    private TestHost? _host;

    public KvNamespaceCatalog Catalog { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = Path.Combine(_directory, "data") });
        _host = await TestHost.StartAsync(Catalog, app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Token))));
    }

    /// <summary>Runs wrangler, which must succeed.</summary>
    /// <returns>What it printed, in bytes.</returns>
    public async Task<byte[]> RunAsync(params string[] arguments)
    {
        var (code, output, errors) = await TryRunAsync(arguments);
        code.Should().Be(0, $"wrangler {string.Join(' ', arguments)} said {errors} {System.Text.Encoding.UTF8.GetString(output)}");
        return output;
    }

    /// <summary>Runs wrangler.</summary>
    public async Task<(int Code, byte[] Output, string Errors)> TryRunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("node", [Installed.Wrangler, .. arguments])
        {
            RedirectStandardError = true,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = _directory,
            Environment =
            {
                ["CLOUDFLARE_API_BASE_URL"] = _host!.Url + "/client/v4",
                ["CLOUDFLARE_API_TOKEN"] = Token,
                ["CLOUDFLARE_ACCOUNT_ID"] = "local",
                ["CI"] = "1",
                ["WRANGLER_SEND_METRICS"] = "false",
                ["HOME"] = _directory,
                ["XDG_CONFIG_HOME"] = _directory,
            },
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var output = new MemoryStream();
        var errors = process.StandardError.ReadToEndAsync();
        await process.StandardOutput.BaseStream.CopyToAsync(output);
        await process.WaitForExitAsync();
        return (process.ExitCode, output.ToArray(), await errors);
    }

    /// <summary>A file that wrangler can be given.</summary>
    public string WriteFile(string name, byte[] content)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    public async Task DisposeAsync()
    {
        await _host!.DisposeAsync();
        await Catalog.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }
}
