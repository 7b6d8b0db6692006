using KvStore.Keys;
using KvStore.Memory;

namespace KvStore.TestKit;

/// <summary>The two kinds of a delete, for tests of the engine.</summary>
internal static class StoreDeletes
{
    /// <summary>Deletes a key as the newest mutation, without a tombstone.</summary>
    /// <returns>Whether it had a value.</returns>
    public static bool Remove<TKey>(this ShardedStore store, in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var revision = 0L;
        return store.Remove(key, ref revision);
    }

    /// <summary>Deletes a key by a mutation that has its revision, and that an older put may still follow.</summary>
    /// <returns>False when the key has a newer record.</returns>
    public static bool Bury<TKey>(this ShardedStore store, in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct => store.Publish(key, store.DraftTombstone(key), revision);
}
