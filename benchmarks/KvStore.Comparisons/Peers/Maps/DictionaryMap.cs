using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>The plain dictionary: not safe with a writer; a bound for what hashing a string costs.</summary>
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
