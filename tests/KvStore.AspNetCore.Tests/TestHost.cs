using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests;

/// <summary>A catalog on the network: a real server on a free port of the loopback.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestHost(WebApplication app, KvNamespaceCatalog catalog)
    {
        _app = app;
        Catalog = catalog;
        Url = app.Urls.First();
    }

    public KvNamespaceCatalog Catalog { get; }

    public string Url { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Starts a server that serves a catalog, which the caller keeps.</summary>
    public static async Task<TestHost> StartAsync(KvNamespaceCatalog catalog, Action<WebApplication> map, Action<ILoggingBuilder>? logging = null, Action<KestrelServerLimits>? limits = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        logging?.Invoke(builder.Logging);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.ConfigureEndpointDefaults(listen => listen.AllowNulInKeys());
            limits?.Invoke(kestrel.Limits);
        });
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(catalog);
        var app = builder.Build();
        map(app);
        await app.StartAsync();
        return new TestHost(app, catalog);
    }

    public Task StopAsync() => _app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
