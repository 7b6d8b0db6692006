using System.Diagnostics.Metrics;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Memory;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>A store as several regions see it: a view for each, and what is on its way between them.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ReplicatedStore : IDisposable
{
    private static readonly TimeSpan s_pruning = TimeSpan.FromMinutes(1);

    private readonly string _name;
    private readonly RegionView[] _views;
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
        Feed = new ReplicationFeed(name);
        Queue = new ReplicationQueue(store, clock, timeProvider, options.Lag, regions, Feed, largeValues);
        _views = [.. regions.Select(region => new RegionView(region, store, clock, Queue, largeValues, options.EdgeCache, name))];
        Home = options.HomeRegion is { } home ? ViewOf(home) : _views[0];
        foreach (var (region, skew) in options.ClockSkew ?? new Dictionary<string, TimeSpan>())
        {
            ViewOf(region).Region.SkewTicks = skew.Ticks;
        }

        if (options.EdgeCache is not null)
        {
            // Weakly, so that a namespace that nobody disposed can be collected.
            _timer = timeProvider.CreateTimer(
                static weak =>
                {
                    if (((WeakReference<ReplicatedStore>)weak!).TryGetTarget(out var replicated))
                    {
                        replicated.Prune();
                    }
                },
                new WeakReference<ReplicatedStore>(this),
                s_pruning,
                s_pruning);
        }

        ReplicationMetrics.Add(this, Measure);
    }

    /// <summary>What is on its way.</summary>
    public ReplicationQueue Queue { get; }

    /// <summary>What becomes of it.</summary>
    public ReplicationFeed Feed { get; }

    /// <summary>The view of the namespace itself.</summary>
    public RegionView Home { get; }

    /// <summary>The view of a region.</summary>
    /// <exception cref="ArgumentException">There is no such region; the message names those that there are.</exception>
    public RegionView ViewOf(string region)
    {
        ArgumentNullException.ThrowIfNull(region);
        return Array.Find(_views, view => view.Region.Name == region)
            ?? throw new ArgumentException(
                $"There is no region {VisibleKey.Quote(region)}; the regions are {string.Join(", ", _views.Select(view => view.Region.Name))}.", nameof(region));
    }

    public void Dispose()
    {
        ReplicationMetrics.Remove(this);
        _timer?.Dispose();
        Queue.Dispose();
        Feed.Complete();
    }

    private void Prune()
    {
        foreach (var view in _views)
        {
            view.Cache?.Prune();
        }
    }

    private IEnumerable<Measurement<long>> Measure() =>
        _views.Select(view => ReplicationMetrics.Measure(_name, view.Region.Name, view.Region.PendingCount));
}
