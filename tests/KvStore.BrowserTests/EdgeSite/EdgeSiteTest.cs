using KvStore.BrowserTests.Chromium;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.BrowserTests.EdgeSite;

/// <summary>A test of the site, which is served as it is in production: by Kestrel, from a directory.</summary>
public abstract class EdgeSiteTest(ChromiumFixture chromium) : BrowserTest(chromium)
{
    /// <summary>The pages.</summary>
    protected static IReadOnlyList<string> Paths { get; } = ["/", "/message", "/flags", "/rates", "/report", "/account"];

    private readonly string _data = Directory.CreateTempSubdirectory("edgesite-").FullName;

    private readonly List<WebApplicationFactory<Program>> _others = [];

    private WebApplicationFactory<Program>? _site;

    protected override async Task<Uri> StartAsync()
    {
        Database = await CreateDatabaseAsync();
        StartSite();
        return _site!.ClientOptions.BaseAddress;
    }

    /// <summary>The connection string of the database that the site uses; null for files.</summary>
    protected string? Database { get; private set; }

    /// <summary>Makes the database that the site uses.</summary>
    /// <returns>Its connection string; null for files.</returns>
    protected virtual Task<string?> CreateDatabaseAsync() => Task.FromResult<string?>(null);

    /// <summary>Starts the same site once more, on another port.</summary>
    /// <returns>Its address.</returns>
    protected Uri StartAnotherSite()
    {
        var other = Start();
        _others.Add(other);
        return other.ClientOptions.BaseAddress;
    }

    /// <summary>Stops the site and starts it again, on another port.</summary>
    /// <returns>Its new address.</returns>
    protected async Task<Uri> RestartAsync()
    {
        await StopSiteAsync();
        StartSite();
        return _site!.ClientOptions.BaseAddress;
    }

    private void StartSite() => _site = Start();

    private WebApplicationFactory<Program> Start()
    {
        var site = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
            host.UseEnvironment("Production").UseUrls("http://127.0.0.1:0").UseSetting("Data", _data).UseSetting("KvStore:PostgreSql", Database));
        site.UseKestrel();
        site.StartServer();
        return site;
    }

    protected override async Task StopAsync()
    {
        foreach (var other in _others)
        {
            await StopAsync(other);
        }

        await StopSiteAsync();
        Directory.Delete(_data, recursive: true);
    }

    private Task StopSiteAsync() => StopAsync(_site!);

    private static async Task StopAsync(WebApplicationFactory<Program> site)
    {
        // The thread of the site disposes the host too. The second call of Dispose does not wait for the first, but that of the
        // namespaces does.
        var factory = site.Services.GetRequiredService<IKvNamespaceFactory>();
        var namespaces = factory.Names.Select(factory.Get).Cast<IAsyncDisposable>().ToList();
        await site.DisposeAsync();
        foreach (var kv in namespaces)
        {
            await kv.DisposeAsync();
        }
    }

    protected IKvNamespace Namespace(string name) => _site!.Services.GetRequiredKeyedService<IKvNamespace>(name);
}
