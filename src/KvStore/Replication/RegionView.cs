using System.Runtime.CompilerServices;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>A region's view of a store: what the region has cached, when it caches, and the records that it shows.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class RegionView(
    Region region, ShardedStore store, PendingWriteTable pendingWrites, WriteDelivery delivery, VisibleRecords records, RegionCache? cache)
{
    /// <summary>The region.</summary>
    public Region Region => region;

    /// <summary>The cache of the region; null when the region does not cache.</summary>
    public RegionCache? Cache => cache;

    /// <summary>Begins a write in this region. Call outside all locks.</summary>
    /// <exception cref="InvalidOperationException">The lag model returned a negative lag.</exception>
    public ReplicatedWrite BeginWrite() => new(pendingWrites, delivery.Originate(region), cache);

    /// <summary>Reads a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cacheTtlSeconds">How old a cached answer may be; null for the default.</param>
    /// <param name="value">The entry, with the status of the cache.</param>
    /// <returns>Whether it exists.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGet<TKey>(in TKey key, int? cacheTtlSeconds, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        // The common case of TryGetSlow, inlined: no backlog, no cache, a value in memory.
        var version = region.BacklogVersion;
        if ((uint)version == 0 && cache is null)
        {
            var isFound = store.TryFind(key, out var record, out _);
            Volatile.ReadBarrier();
            if (region.BacklogVersion == version && !(isFound && record.IsLarge))
            {
                if (isFound)
                {
                    store.NoteUse(record);
                    value = record.ToValue();
                    return true;
                }

                value = default;
                return false;
            }
        }

        return TryGetSlow(key, cacheTtlSeconds, out value);
    }

    /// <summary>Returns what a read would return, without the effects of a read on the cache: see <see cref="RegionCache.TryPeek"/>.</summary>
    public KvValue Peek<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (cache is null || !cache.TryPeek(key, out var value))
        {
            _ = TryGetUncached(key, out value);
        }

        return value;
    }

    /// <summary>Finds the record that the region shows for a key, without the cache.</summary>
    /// <param name="key">The key.</param>
    /// <param name="visible">The record.</param>
    /// <returns>Whether the key has a value that has not expired.</returns>
    public bool TryFind<TKey>(in TKey key, out VisibleRecord visible)
        where TKey : struct, IKey, allows ref struct => records.TryFind(key, out visible);

    /// <summary>Lists keys.</summary>
    /// <param name="prefix">The prefix of the keys.</param>
    /// <param name="after">The key after which the page begins; empty for the first page.</param>
    /// <param name="limit">The most keys of the page.</param>
    /// <returns>A page, with the status of the cache.</returns>
    public KvListPage List(byte[] prefix, byte[] after, int limit) =>
        cache is null ? records.List(prefix, after, limit) : cache.List(prefix, after, limit);

    /// <summary>Lists keys, without the cache.</summary>
    public KvListPage ListUncached(byte[] prefix, byte[] after, int limit) => records.List(prefix, after, limit);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryGetSlow<TKey>(in TKey key, int? cacheTtlSeconds, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        if (cache is null)
        {
            value = default;
            if (!records.TryFind(key, out var visible))
            {
                return false;
            }

            store.NoteUse(visible.Record);
            return records.TryView(key, visible, out value);
        }

        value = cache.Get(key, cacheTtlSeconds);
        return value.Exists;
    }

    private bool TryGetUncached<TKey>(in TKey key, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        value = default;
        return records.TryFind(key, out var visible) && records.TryView(key, visible, out value);
    }
}
