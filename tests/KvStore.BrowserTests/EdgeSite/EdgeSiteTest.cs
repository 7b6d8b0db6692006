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

    private WebApplicationFactory<Program>? _site;

    protected override Task<Uri> StartAsync()
    {
        StartSite();
        return Task.FromResult(_site!.ClientOptions.BaseAddress);
    }

    /// <summary>Stops the site and starts it again, on another port.</summary>
    /// <returns>Its new address.</returns>
    protected async Task<Uri> RestartAsync()
    {
        await StopSiteAsync();
        StartSite();
        return _site!.ClientOptions.BaseAddress;
    }

    private void StartSite()
    {
        _site = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
            host.UseEnvironment("Production").UseUrls("http://127.0.0.1:0").UseSetting("Data", _data));
        _site.UseKestrel();
        _site.StartServer();
    }

    protected override async Task StopAsync()
    {
        await StopSiteAsync();
        Directory.Delete(_data, recursive: true);
    }

    private async Task StopSiteAsync()
    {
        // The thread of the site disposes the host too. The second call of Dispose does not wait for the first, but that of the
        // namespaces does.
        var factory = _site!.Services.GetRequiredService<IKvNamespaceFactory>();
        var namespaces = factory.Names.Select(factory.Get).Cast<IAsyncDisposable>().ToList();
        await _site.DisposeAsync();
        foreach (var kv in namespaces)
        {
            await kv.DisposeAsync();
        }
    }

    protected IKvNamespace Namespace(string name) => _site!.Services.GetRequiredKeyedService<IKvNamespace>(name);
}
