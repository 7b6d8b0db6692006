using System.Diagnostics.CodeAnalysis;
using NonBlocking;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>The lock-free dictionary of the package NonBlocking.</summary>
internal readonly struct NonBlockingMap() : IMap
{
    private readonly ConcurrentDictionary<string, byte[]> _entries = new();

    public static string Name => "NonBlocking";

    public static bool ExpiresByItself => false;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => _entries.TryGetValue(key, out value);

    public void Put(string key, byte[] value) => _entries[key] = value;

    public void Put(string key, byte[] value, int ttlSeconds) => Put(key, value);

    public void Remove(string key) => _entries.TryRemove(key, out _);
}
