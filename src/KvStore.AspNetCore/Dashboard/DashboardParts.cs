using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Live;
using KvStore.Requests;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Dashboard;

/// <summary>What all pages of a dashboard share.</summary>
internal sealed class DashboardParts
{
    public DashboardParts(KvNamespaceCatalog catalog, KvDashboardOptions options, IServiceProvider services)
    {
        Catalog = catalog;
        Options = options;
        Hosts = options.IsAnonymous || options.HasHosts ? new AllowedHosts(options.Hosts, takesAddresses: true) : null;
        Antiforgery = services.GetService<IAntiforgery>()
            ?? throw new InvalidOperationException("The KV dashboard accepts no change without anti-forgery; call services.AddAntiforgery() first.");
        FormOptions = services.GetRequiredService<IOptions<AntiforgeryOptions>>().Value;
        Time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        Logger = services.GetRequiredService<ILogger<DashboardEndpoint>>();
        Stopping = services.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
        Feed = new LiveFeed(Time, options.WatchersMax);
        Transfers = new SemaphoreSlim(options.TransfersMax, options.TransfersMax);
    }

    public KvNamespaceCatalog Catalog { get; }

    public KvDashboardOptions Options { get; }

    /// <summary>The names by which the server may be called; null for any.</summary>
    public AllowedHosts? Hosts { get; }

    public IAntiforgery Antiforgery { get; }

    public AntiforgeryOptions FormOptions { get; }

    public TimeProvider Time { get; }

    public ILogger Logger { get; }

    /// <summary>Ends what would otherwise keep the server from ending.</summary>
    public CancellationToken Stopping { get; }

    public LiveFeed Feed { get; }

    /// <summary>The places for imports and exports.</summary>
    public SemaphoreSlim Transfers { get; }

    public KeyTurns Turns { get; } = new();

    public KvLimits DefaultLimits { get; } = new();
}
