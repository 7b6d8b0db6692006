using System.Diagnostics.Metrics;
using KvStore.Diagnostics;
using KvStore.Engine;
using KvStore.Expiry;
using KvStore.Keys;

namespace KvStore.Replication;

/// <summary>A store as several regions see it: publishes what one of them writes, and has a view for each.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ReplicatedStore : IDisposable
{
    private static readonly TimeSpan s_pruning = TimeSpan.FromMinutes(1);

    private readonly string _name;
    private readonly ShardedStore _store;
    private readonly RegionView[] _views;
    private readonly ITimer? _timer;

    public ReplicatedStore(
        string name, ShardedStore store, CoarseClock clock, TimeProvider timeProvider, KvReplicationOptions options)
    {
        _name = name;
        _store = store;
        var regions = options.Regions.Select(static (region, index) => new Region(index, region)).ToArray();
        Feed = new ReplicationFeed(name);
        Queue = new ReplicationQueue(store, timeProvider, options.Lag, regions, Feed);
        _views = [.. regions.Select(region => new RegionView(region, store, clock, Queue, options.EdgeCache, name))];
        Home = options.HomeRegion is { } home ? ViewOf(home) : _views[0];
        foreach (var (region, skew) in options.ClockSkew ?? new Dictionary<string, TimeSpan>())
        {
            ViewOf(region).Region.SkewTicks = skew.Ticks;
        }

        if (options.EdgeCache is not null)
        {
            _timer = timeProvider.CreateTimer(static replicated => ((ReplicatedStore)replicated!).Prune(), this, s_pruning, s_pruning);
        }

        ReplicationMetrics.Add(Measure);
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
                $"There is no region \"{region}\"; the regions are {string.Join(", ", _views.Select(view => view.Region.Name))}.", nameof(region));
    }

    /// <summary>Makes a draft the newest record of its key, in the region where it was written, and in others later.</summary>
    /// <param name="key">The key that the draft was made for.</param>
    /// <param name="draft">The draft.</param>
    /// <param name="origin">Where it was written; null for the home region.</param>
    /// <param name="revision">The number of the mutation, or 0 for the next one.</param>
    /// <returns>False when it lost against a newer one.</returns>
    public bool Publish<TKey>(in TKey key, in RecordDraft draft, RegionView? origin, long revision = 0)
        where TKey : struct, IKey, allows ref struct
    {
        origin ??= Home;
        Departure departure;
        try
        {
            departure = Queue.Depart(origin.Region);
        }
        catch
        {
            ShardedStore.Abandon(draft);
            throw;
        }

        var isNewest = _store.Publish(key, draft, revision, departure);
        departure.Complete();
        origin.Cache?.Drop(key);
        return isNewest;
    }

    /// <summary>Deletes a key, in the region where that was asked for, and in others later.</summary>
    /// <param name="key">The key.</param>
    /// <param name="origin">Where it was deleted; null for the home region.</param>
    /// <param name="revision">The number of the mutation, which an older put may still follow, or 0 for the next one.</param>
    public void Delete<TKey>(in TKey key, RegionView? origin, long revision = 0)
        where TKey : struct, IKey, allows ref struct
    {
        origin ??= Home;
        var departure = Queue.Depart(origin.Region);
        if (revision == 0)
        {
            _store.Delete(key, departure);
        }
        else
        {
            _store.Delete(key, revision, departure);
        }

        departure.Complete();
        origin.Cache?.Drop(key);
    }

    public void Dispose()
    {
        ReplicationMetrics.Remove(Measure);
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
