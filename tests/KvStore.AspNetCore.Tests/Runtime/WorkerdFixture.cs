using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests.Runtime;

/// <summary>The real Workers runtime with a Worker whose KV binding leads to <c>MapKvBinding</c>. Started by the first test that needs it.</summary>
public sealed class WorkerdFixture : IAsyncLifetime
{
    private const string Secret = "the-secret-of-the-runtime";

    private readonly SwitchedNamespace _namespace = new("recorded");
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-workerd-").FullName;
    private readonly StringBuilder _printed = new();
    private KvNamespaceCatalog? _catalog;
    private TestHost? _host;
    private Process? _process;
    private HttpClient? _worker;

    public Task InitializeAsync() => Task.CompletedTask;

    /// <summary>Puts the binding on an empty namespace with a clock of its own.</summary>
    public async Task BeginAsync(TimeProvider time)
    {
        if (_worker is null)
        {
            await StartAsync();
        }

        await EndAsync();
        _namespace.Current = KvNamespace.Create("recorded", new KvNamespaceOptions { TimeProvider = time });
    }

    /// <summary>Lets the Worker run an operation.</summary>
    /// <returns>What differs from what is expected of it, or null.</returns>
    public async Task<string?> RunAsync(JsonElement operation, JsonElement expected, long startSeconds, long nowSeconds, bool isFirst)
    {
        var request = string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"op":{{operation.GetRawText()}},"expect":{{expected.GetRawText()}},"t0":{{startSeconds}},"now":{{nowSeconds}},"first":{{(isFirst ? "true" : "false")}}}""");
        using var content = new StringContent(request, Encoding.UTF8, "application/json");
        using var response = await _worker!.PostAsync("/", content);
        var text = await response.Content.ReadAsStringAsync();
        return response.StatusCode switch
        {
            HttpStatusCode.OK => null,
            HttpStatusCode.Conflict => text,
            _ => throw new InvalidOperationException($"The Worker answered {(int)response.StatusCode}: {text}\n{_printed}"),
        };
    }

    /// <summary>Waits for a key to have another value, but not for ever.</summary>
    public async Task UntilChangedAsync(string key, string value)
    {
        for (var attempt = 0; attempt < 500 && await _namespace.Current!.GetTextAsync(key) == value; attempt++)
        {
            await Task.Delay(10);
        }
    }

    public async Task EndAsync()
    {
        if (_namespace.Current is IAsyncDisposable before)
        {
            _namespace.Current = null;
            await before.DisposeAsync();
        }
    }

    public async Task DisposeAsync()
    {
        _worker?.Dispose();
        if (_process is not null)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        await EndAsync();
        if (_host is not null)
        {
            await _host.DisposeAsync();
            await _catalog!.DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync(registered: [_namespace]);
        _host = await TestHost.StartAsync(_catalog, app => app.MapKvBinding(options => options.AddSecret(KvToken.FromSecret(Secret))));
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Runtime", "worker.js"), Path.Combine(_directory, "worker.js"));
        var port = FreePort();
        await File.WriteAllTextAsync(Path.Combine(_directory, "config.capnp"), $$"""
            using Workerd = import "/workerd/workerd.capnp";
            const config :Workerd.Config = (
              services = [
                ( name = "main", worker = (
                    modules = [ ( name = "worker.js", esModule = embed "worker.js" ) ],
                    compatibilityDate = "2026-01-01",
                    bindings = [ ( name = "KV", kvNamespace = "kv-http" ) ] ) ),
                ( name = "kv-http", external = ( address = "{{new Uri(_host.Url).Authority}}", http = ( injectRequestHeaders = [
                    ( name = "Authorization", value = "Bearer {{Secret}}" ),
                    ( name = "X-Namespace", value = "recorded" ) ] ) ) ),
              ],
              sockets = [ ( name = "http", address = "127.0.0.1:{{port}}", http = (), service = "main" ) ]
            );
            """);
        var start = new ProcessStartInfo(Installed.Workerd, ["serve", Path.Combine(_directory, "config.capnp"), "--verbose"])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        _process = Process.Start(start)!;
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();

        // workerd closes a connection that was idle for five seconds; on a busy machine that may be the one about to be used.
        var handler = new SocketsHttpHandler { PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1) };
        _worker = new HttpClient(handler) { BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromMinutes(2) };
        for (var attempt = 0; !await IsListeningAsync(port); attempt++)
        {
            if (_process.HasExited || attempt > 600)
            {
                throw new InvalidOperationException($"workerd does not listen:\n{_printed}");
            }

            await Task.Delay(50);
        }
    }

    private static async Task<bool> IsListeningAsync(int port)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private void Keep(string? line)
    {
        lock (_printed)
        {
            _printed.AppendLine(line);
        }
    }
}
