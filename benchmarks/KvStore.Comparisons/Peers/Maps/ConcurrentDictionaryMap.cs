using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>The dictionary that most programs use, and the baseline of the ratios.</summary>
internal readonly struct ConcurrentDictionaryMap() : IMap
{
    private readonly ConcurrentDictionary<string, byte[]> _entries = new();

    public static string Name => "ConcurrentDictionary";

    public static bool ExpiresByItself => false;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => _entries.TryGetValue(key, out value);

    public void Put(string key, byte[] value) => _entries[key] = value;

    public void Put(string key, byte[] value, int ttlSeconds) => Put(key, value);

    public void Remove(string key) => _entries.TryRemove(key, out _);
}
