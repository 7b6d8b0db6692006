using System.Diagnostics.CodeAnalysis;
using BitFaster.Caching.Lru;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>A bounded least-recently-used cache, with a capacity for all entries.</summary>
internal readonly struct BitFasterMap() : IMap
{
    private readonly ConcurrentLru<string, byte[]> _entries = new(10_000_000);

    public static string Name => "BitFaster ConcurrentLru";

    public static bool ExpiresByItself => false;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => _entries.TryGet(key, out value);

    public void Put(string key, byte[] value) => _entries.AddOrUpdate(key, value);

    public void Put(string key, byte[] value, int ttlSeconds) => Put(key, value);

    public void Remove(string key) => _entries.TryRemove(key);
}
