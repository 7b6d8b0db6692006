using KvStore;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvServer;

/// <summary>The endpoint of the Workers runtime, which takes every path and so has an address of its own.</summary>
internal sealed class BindingServer(WebApplication app, string url) : IAsyncDisposable
{
    private const string DefaultUrl = "http://127.0.0.1:8788";

    /// <summary>Where it listens.</summary>
    public string Url { get; } = url;

    /// <summary>Starts it; null when nobody asked for it and its usual address is taken.</summary>
    public static async Task<BindingServer?> StartAsync(WebApplication main, string[] args, IConfiguration configuration)
    {
        var asked = configuration["binding-url"];
        var builder = WebApplication.CreateBuilder(args);
        builder.WebHost.UseUrls(asked ?? DefaultUrl);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(listen =>
        {
            // The errors travel in the reason phrase, which HTTP/2 does not have.
            listen.Protocols = HttpProtocols.Http1;
            listen.AllowNulInKeys();
        }));

        // The one catalog, which the main application opens and closes.
        builder.Services.AddSingleton(main.Services.GetRequiredService<KvNamespaceCatalog>());
        var app = builder.Build();
        app.MapKvBinding(options =>
        {
            if (configuration["KVSTORE_BINDING_SECRET"] is { Length: > 0 } secret)
            {
                options.AddSecret(KvToken.FromSecret(secret));
            }
        });

        try
        {
            await app.StartAsync();
        }
        catch (IOException) when (asked is null)
        {
            await app.DisposeAsync();
            return null;
        }

        return new BindingServer(app, app.Urls.First());
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
