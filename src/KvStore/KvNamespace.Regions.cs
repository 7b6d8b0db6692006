using KvStore.Diagnostics;
using KvStore.Regions;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore;

/// <content>A namespace as its regions see it.</content>
public sealed partial class KvNamespace
{
    private readonly ReplicatedStore? _replicated;
    private readonly KvRegion? _home;

    /// <summary>The deliveries between regions; null when the namespace has no regions.</summary>
    public KvReplication? Replication { get; }

    /// <summary>
    /// The same namespace as a region sees it: reads and lists return the writes that the region has received. A write through the
    /// view is visible in the region at once, and in other regions after the lag.
    /// </summary>
    /// <param name="region">The name of the region, one of <see cref="KvReplicationOptions.Regions"/>.</param>
    /// <returns>The view. It lives as long as this namespace.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    /// <exception cref="InvalidOperationException">The namespace has no regions.</exception>
    public IKvNamespace InRegion(string region) => ViewFrom((_replicated ?? throw KvReplicationOptions.NotReplicated(Name)).Find(region));

    internal ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved
            ? GetManyObserved(keys, options, region, cancellationToken)
            : GetMany(keys, options, region, cancellationToken);

    internal ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved
            ? PutObserved(key, content, options, region, cancellationToken)
            : Put(key, content, options, region, cancellationToken);

    internal ValueTask DeleteAsync(string key, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? DeleteObserved(key, region, cancellationToken) : Delete(key, region, cancellationToken);

    internal ValueTask<KvListPage> ListAsync(KvListOptions? options, KvRegion? region, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? ListObserved(options, region, cancellationToken) : List(options, region, cancellationToken);

    internal void CheckDisposed()
    {
        if (_isDisposed)
        {
            throw DisposedNamespace.Exception(Name);
        }
    }

    // Where a read does not go straight to the engine: to what has arrived at home, or nowhere any more.
    private KvRegion Home()
    {
        CheckDisposed();
        return _home!;
    }

    private KvRegion ViewFrom(RegionView view) => new(this, view, _telemetry, _limits.KeyBytesMax);
}
