using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Caching.Memory;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>Microsoft.Extensions.Caching.Memory, each entry with an absolute expiration.</summary>
internal readonly struct MemoryCacheMap() : IMap, IDisposable
{
    private static readonly TimeSpan s_ttl = TimeSpan.FromHours(1);

    private readonly MemoryCache _entries = new(new MemoryCacheOptions());

    public static string Name => "MemoryCache";

    public static bool ExpiresByItself => true;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => _entries.TryGetValue(key, out value);

    public void Put(string key, byte[] value) => _entries.Set(key, value, s_ttl);

    public void Put(string key, byte[] value, int ttlSeconds) =>
        _entries.Set(key, value, ttlSeconds == 0 ? s_ttl : TimeSpan.FromSeconds(ttlSeconds));

    public void Remove(string key) => _entries.Remove(key);

    public void Dispose() => _entries.Dispose();
}
