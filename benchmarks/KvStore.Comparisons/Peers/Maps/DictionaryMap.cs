using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>The plain dictionary, which is not safe with a writer: a lower bound for the cost of hashing a string.</summary>
internal readonly struct DictionaryMap() : IMap
{
    private readonly Dictionary<string, byte[]> _entries = [];

    public static string Name => "Dictionary";

    public static bool ExpiresByItself => false;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value) => _entries.TryGetValue(key, out value);

    public void Put(string key, byte[] value) => _entries[key] = value;

    public void Put(string key, byte[] value, int ttlSeconds) => Put(key, value);

    public void Remove(string key) => _entries.Remove(key);
}
