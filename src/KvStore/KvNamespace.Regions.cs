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

    /// <summary>What is on its way between regions; null when the namespace is not replicated.</summary>
    public KvReplication? Replication { get; }

    /// <summary>The region whose view this namespace is; null when it is not replicated.</summary>
    public string? HomeRegion => _replicated?.Home.Region.Name;

    /// <summary>
    /// The same namespace as a region sees it: get, list and everything else show what has arrived there, and what is
    /// written through it is visible there at once and elsewhere later.
    /// </summary>
    /// <param name="region">The name of the region, one of <see cref="KvReplicationOptions.Regions"/>.</param>
    /// <returns>The view, which lives as long as this namespace.</returns>
    /// <exception cref="ArgumentException">There is no such region.</exception>
    /// <exception cref="InvalidOperationException">The namespace is not replicated.</exception>
    public IKvNamespace InRegion(string region) => ViewFrom((_replicated ?? throw KvRegionExtensions.NotReplicated(Name)).ViewOf(region));

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
