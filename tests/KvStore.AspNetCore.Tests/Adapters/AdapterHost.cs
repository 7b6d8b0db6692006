using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests.Adapters;

/// <summary>An application in the ASP.NET test host. To restart it, dispose it and start another one with the same storage.</summary>
internal sealed class AdapterHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private AdapterHost(WebApplication app, LogLines log)
    {
        _app = app;
        Log = log;
        Client = app.GetTestClient();
    }

    public HttpClient Client { get; }

    public LogLines Log { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Starts an application.</summary>
    /// <param name="services">Registers its services.</param>
    /// <param name="map">Builds its pipeline; null for none.</param>
    /// <param name="time">Its clock; null for the clock of the system.</param>
    public static async Task<AdapterHost> StartAsync(Action<IServiceCollection> services, Action<WebApplication>? map = null, TimeProvider? time = null)
    {
        var log = new LogLines();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(log);
        builder.WebHost.UseTestServer();
        if (time is not null)
        {
            builder.Services.AddSingleton(time);
        }

        services(builder.Services);
        var app = builder.Build();
        map?.Invoke(app);
        try
        {
            await app.StartAsync();
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }

        return new AdapterHost(app, log);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }
}
