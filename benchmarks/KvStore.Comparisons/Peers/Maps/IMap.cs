using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>
/// The operations of a map in this process that <see cref="MapPeer{TMap}"/> needs. Implementations are structs with the map, so that
/// the runtime compiles the loops of the peer for each map, with inlined calls, as fast as hand-written loops.
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
