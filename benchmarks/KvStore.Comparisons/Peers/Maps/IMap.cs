using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>
/// A map in this process: what <see cref="MapPeer{TMap}"/> needs of it. Implemented by structs that hold the map, so that
/// the runtime compiles the loops of the peer for each map, with its calls inlined, as a hand-written loop would be.
/// </summary>
internal interface IMap
{
    /// <summary>The name in tables.</summary>
    static abstract string Name { get; }

    /// <summary>Whether entries expire by themselves.</summary>
    static abstract bool ExpiresByItself { get; }

    bool TryGet(string key, [NotNullWhen(true)] out byte[]? value);

    /// <summary>Puts a reference to a value; with the default time to live where the map has one.</summary>
    void Put(string key, byte[] value);

    /// <summary>Puts a reference to a value with a time to live in seconds; 0 for the default.</summary>
    void Put(string key, byte[] value, int ttlSeconds);

    void Remove(string key);
}
