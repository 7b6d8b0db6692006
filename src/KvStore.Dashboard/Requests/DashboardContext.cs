using KvStore.Authentication;
using KvStore.Dashboard.Entries;
using KvStore.Dashboard.Live;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Dashboard.Requests;

/// <summary>What all pages of a dashboard share.</summary>
internal sealed class DashboardContext
{
    public DashboardContext(KvNamespaceCatalog catalog, KvDashboardOptions options, IServiceProvider services)
    {
        Catalog = catalog;
        Options = options;
        Hosts = options.IsAnonymous || options.HasHosts ? new AllowedHosts(options.Hosts, takesAddresses: true) : null;
        Antiforgery = services.GetService<IAntiforgery>()
            ?? throw new InvalidOperationException("The KV dashboard accepts no change without anti-forgery; call services.AddAntiforgery() first.");
        FormOptions = services.GetRequiredService<IOptions<AntiforgeryOptions>>().Value;
        Time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        Stopping = services.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None;
        Feed = new LiveFeed(Time, options.WatchersMax);
        KeysSlots = new SemaphoreSlim(options.WatchersMax, options.WatchersMax);
        TransferSlots = new SemaphoreSlim(options.TransfersMax, options.TransfersMax);
    }

    public KvNamespaceCatalog Catalog { get; }

    public KvDashboardOptions Options { get; }

    /// <summary>The allowed names in the header <c>Host</c>; null when every name is allowed.</summary>
    public AllowedHosts? Hosts { get; }

    public IAntiforgery Antiforgery { get; }

    public AntiforgeryOptions FormOptions { get; }

    public TimeProvider Time { get; }

    /// <summary>Cancelled when the server stops, to end requests that would otherwise keep it from stopping.</summary>
    public CancellationToken Stopping { get; }

    public LiveFeed Feed { get; }

    /// <summary>One slot for each page of keys that follows changes.</summary>
    public SemaphoreSlim KeysSlots { get; }

    /// <summary>One slot for each concurrent import or export.</summary>
    public SemaphoreSlim TransferSlots { get; }

    public KvLimits DefaultLimits { get; } = new();
}
