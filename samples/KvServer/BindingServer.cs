using KvStore;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvServer;

/// <summary>The endpoint of the Workers runtime. It answers every path, so it has an address of its own.</summary>
internal sealed class BindingServer(WebApplication app, string url) : IAsyncDisposable
{
    private const string DefaultUrl = "http://127.0.0.1:8788";

    /// <summary>The address on which it listens.</summary>
    public string Url { get; } = url;

    /// <summary>Starts the endpoint. Returns null when it was not requested and its default address is taken.</summary>
    /// <exception cref="StartFailure">The address that was asked for cannot be had.</exception>
    public static async Task<BindingServer?> StartAsync(WebApplication main, ServerSettings settings)
    {
        var builder = WebApplication.CreateBuilder(settings.Host);
        builder.WebHost.UseUrls(settings.BindingUrl ?? DefaultUrl);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.BoundConnections(divisor: 4);
            kestrel.ConfigureEndpointDefaults(listen =>
            {
                // The message of an error is the reason phrase, which HTTP/2 does not have.
                listen.Protocols = HttpProtocols.Http1;
                listen.AllowNulInKeys();
            });
        });
        builder.Logging.BeQuiet();
        if (settings.IsBindingOpen)
        {
            // With --open-binding the server prints its own warning when it has started.
            builder.Logging.AddFilter("KvStore.Binding", LogLevel.Error);
        }

        // The catalog of the main application, which opens and closes it.
        builder.Services.AddSingleton(main.Services.GetRequiredService<KvNamespaceCatalog>());
        var app = builder.Build();
        app.MapKvBinding(options =>
        {
            options.AllowHosts(settings.Hosts);
            if (settings.BindingSecret is { } secret)
            {
                options.AddSecret(secret.Token);
            }
        });

        try
        {
            await StartFailure.WatchAsync("--binding-url", app.StartAsync);
        }
        catch (StartFailure)
        {
            await app.DisposeAsync();
            if (settings.BindingUrl is null)
            {
                return null;
            }

            throw;
        }

        return new BindingServer(app, app.Urls.First());
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
