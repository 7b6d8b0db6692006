using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Comparisons.Peers;

/// <summary>Caches, and what they stand on, that are disposed together: the last one first.</summary>
internal sealed class OwnedCaches : IDisposable
{
    public const string Namespace = "COMPARED";

    private readonly List<IDisposable> _owned = [];

    public T Add<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    /// <summary>A distributed cache over a namespace, both of which are owned.</summary>
    public IBufferDistributedCache AddOver(KvNamespace kv)
    {
        Add(kv);
        return Add(new KvDistributedCache(
            kv, new KvAdapter { Name = "distributed_cache", Namespace = Namespace, Prefix = KvDistributedCacheOptions.DefaultPrefix, RegisteredBy = "the benchmark" }));
    }

    public void Dispose()
    {
        for (var i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }
    }
}
