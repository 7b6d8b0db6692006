using System.Diagnostics.Metrics;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Memory;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>A store with regions: a view for each region, and the deliveries between them.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ReplicatedStore : IDisposable
{
    private static readonly TimeSpan s_pruneInterval = TimeSpan.FromMinutes(1);

    private readonly string _name;
    private readonly DeliverySchedule _schedule;
    private readonly PendingWriteTable _pendingWrites;
    private readonly RegionView[] _views;
    private readonly Lock _cutOffLock = new();
    private readonly ITimer? _timer;

    public ReplicatedStore(
        string name,
        ShardedStore store,
        CoarseClock clock,
        TimeProvider timeProvider,
        KvReplicationOptions options,
        LargeValueLeases largeValues)
    {
        _name = name;
        var regions = options.Regions.Select(static (region, index) => new Region(index, region)).ToArray();
        Events = new ReplicationEvents(name, store);
        _schedule = new DeliverySchedule(timeProvider, (in delivery, deliveredTicks) => _pendingWrites!.Deliver(delivery, deliveredTicks));
        var delivery = new WriteDelivery(_schedule, options.Lag, regions, Events);
        _pendingWrites = new PendingWriteTable(store, clock, _schedule, delivery, regions, Events, largeValues);
        _views = [.. regions.Select(ViewOf)];
        Home = options.HomeRegion is { } home ? Find(home) : _views[0];
        foreach (var (region, skew) in options.ClockSkew ?? new Dictionary<string, TimeSpan>())
        {
            Find(region).Region.SkewTicks = skew.Ticks;
        }

        if (options.EdgeCache is not null)
        {
            // A weak reference, so that a namespace that nobody disposed can be collected.
            _timer = timeProvider.CreateTimer(
                static weak =>
                {
                    try
                    {
                        if (((WeakReference<ReplicatedStore>)weak!).TryGetTarget(out var replicated))
                        {
                            replicated.PruneCaches();
                        }
                    }
                    catch (OutOfMemoryException)
                    {
                        // An exception on a timer's thread would end the process. The next tick prunes.
                    }
                },
                new WeakReference<ReplicatedStore>(this),
                s_pruneInterval,
                s_pruneInterval);
        }

        ReplicationMetrics.Add(this, MeasurePending);

        RegionView ViewOf(Region region)
        {
            var records = new VisibleRecords(region, store, clock, _pendingWrites, _schedule, largeValues);
            var cache = options.EdgeCache is { } edgeCache ? new RegionCache(region, records, clock, timeProvider, edgeCache, Events) : null;
            return new RegionView(region, store, _pendingWrites, delivery, records, cache);
        }
    }

    /// <summary>The names of the regions.</summary>
    public IEnumerable<string> RegionNames => _views.Select(static view => view.Region.Name);

    /// <summary>The view of the home region, which is that of the namespace itself.</summary>
    public RegionView Home { get; }

    /// <summary>The views of all regions.</summary>
    public IReadOnlyList<RegionView> Views => _views;

    /// <summary>The events of writes.</summary>
    public ReplicationEvents Events { get; }

    /// <summary>Whether deliveries are made only by <see cref="Step"/>.</summary>
    public bool IsPaused => _schedule.IsPaused;

    /// <summary>The number of pending deliveries, after those that are due were made.</summary>
    public long PendingCount
    {
        get
        {
            _schedule.DeliverDue();
            return _schedule.PendingCount;
        }
    }

    /// <summary>The number of keys with pending writes.</summary>
    public int PendingKeyCount => _pendingWrites.KeyCount;

    /// <summary>The view of a region.</summary>
    /// <exception cref="ArgumentException">There is no such region; the message names the regions.</exception>
    public RegionView Find(string region)
    {
        ArgumentNullException.ThrowIfNull(region);
        return Array.Find(_views, view => view.Region.Name == region)
            ?? throw new ArgumentException($"There is no region {VisibleKey.Quote(region)}; the regions are {string.Join(", ", RegionNames)}.", nameof(region));
    }

    /// <summary>The number of pending deliveries to a region, after those that are due were made.</summary>
    public long PendingCountOf(Region region)
    {
        _schedule.DeliverDue();
        return region.PendingCount;
    }

    /// <summary>Completes when no delivery is pending.</summary>
    public Task WaitForConvergenceAsync(CancellationToken cancellationToken)
    {
        _schedule.DeliverDue();
        return _schedule.WaitForConvergenceAsync(cancellationToken);
    }

    /// <summary>
    /// Partitions a region, or heals it. Deliveries to it and from it are held back, and sent again when the partition ends. On
    /// failure nothing has changed.
    /// </summary>
    public void SetCutOff(Region region, bool isCutOff)
    {
        lock (_cutOffLock)
        {
            if (region.IsCutOff == isCutOff)
            {
                return;
            }

            _schedule.DeliverDue();
            region.IsCutOff = isCutOff;
            try
            {
                _pendingWrites.Reroute();
            }
            catch
            {
                // A partition takes no memory, so only healing fails, and holding back again does not.
                region.IsCutOff = !isCutOff;
                _pendingWrites.Reroute();
                throw;
            }

            _schedule.DeliverDue();
        }
    }

    /// <summary>Makes no more deliveries, except by <see cref="Step"/>.</summary>
    public void Pause() => _schedule.Pause();

    /// <summary>Makes the next delivery, even before its time.</summary>
    /// <returns>What happened; null when no delivery can be made.</returns>
    public KvReplicationEvent? Step() => _schedule.Step() is var (delivery, deliveredTicks)
        ? Events.ToEvent(delivery.Key.Key, delivery.Write, delivery.Region, KvReplicationOutcome.Visible, deliveredTicks)
        : null;

    /// <summary>Ends the pause. Deliveries whose time has passed are made now.</summary>
    public void Resume() => _schedule.Resume();

    public void Dispose()
    {
        ReplicationMetrics.Remove(this);
        _timer?.Dispose();
        _schedule.Dispose();
        Events.Complete();
    }

    private void PruneCaches()
    {
        foreach (var view in _views)
        {
            view.Cache?.Prune();
        }
    }

    private IEnumerable<Measurement<long>> MeasurePending() =>
        _views.Select(view => ReplicationMetrics.Measure(_name, view.Region.Name, view.Region.PendingCount));
}
