using KvStore.Reads;
using KvStore.Replication;
using KvStore.Writes;

namespace KvStore.Regions;

/// <summary>A region's view of a namespace, as a namespace.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvRegion(NamespaceRegions regions, RegionView view, ReadPath reads, TextReads texts, WritePath writes) : ILocalNamespace
{
    /// <summary>All regions of the namespace, this one among them.</summary>
    public NamespaceRegions Regions => regions;

    /// <summary>The region's view of the store.</summary>
    public RegionView View => view;

    /// <summary>The reads of the region.</summary>
    public ReadPath Reads => reads;

    /// <summary>The reads of values as text.</summary>
    public TextReads Texts => texts;

    public KvLimits Limits => reads.Limits;

    public string Name => regions.NamespaceName;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        reads.GetAsync(key, hash: 0, options, cancellationToken);

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        reads.GetManyAsync(keys, options, cancellationToken);

    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        writes.PutAsync(key, content, options, view, cancellationToken);

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        writes.DeleteAsync(key, view, cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        reads.ListAsync(options, cancellationToken);

    public KvValue ReadNewest(string key) => reads.ReadNewest(key);
}
