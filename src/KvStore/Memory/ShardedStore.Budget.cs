using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;

namespace KvStore.Memory;

/// <content>The budget for memory: whether there is room for a record, and how room is made.</content>
internal sealed partial class ShardedStore
{
    private readonly MemoryBudget _budget;

    // Eviction would remove everything for a larger record in vain.
    private readonly long _recordBytesMax;

    /// <summary>Whether memory is limited.</summary>
    public bool HasBudget => _budget.IsLimited;

    /// <summary>The bytes that memory is limited to; <see cref="long.MaxValue"/> for no limit.</summary>
    public long BudgetBytes => _budget.BytesMax;

    /// <summary>
    /// Makes room in the budget for the record of a put, if there is none: frees what is dead or has expired. Evicts nothing for a record
    /// that is too large for the budget. Call before the record is drafted, and while holding no lock.
    /// </summary>
    /// <returns>
    /// Whether there is room. Puts that run side by side may take the same room, so the budget is exceeded by a segment for each of
    /// them at most.
    /// </returns>
    /// <exception cref="OutOfMemoryException">There was no memory to free memory; nothing has changed.</exception>
    public bool TryMakeRoom<TKey>(in TKey key, int metadataBytes, int valueBytes)
        where TKey : struct, IKey, allows ref struct
    {
        if (!HasBudget)
        {
            return true;
        }

        var put = new WantedRoom(key.Hash, Record.SizeFor(key.Utf8Bytes, metadataBytes, valueBytes));
        return put.RecordBytes <= _recordBytesMax && (HasRoom(put) || _maintenance.MakeRoom(HasRoom, put));
    }

    /// <summary>Whether a record takes no more room than the one that its key has, so that a put of it lets a namespace become no larger.</summary>
    public bool IsNoLargerThanPresent<TKey>(in TKey key, int metadataBytes, int valueBytes)
        where TKey : struct, IKey, allows ref struct =>
        _index.TryFind(key, out var present, out var entry)
            && (entry & HashEntry.TombstoneBit) == 0
            && present.SizeInSegment >= Record.SizeFor(key.Utf8Bytes, metadataBytes, valueBytes);

    private bool HasRoom(WantedRoom put)
    {
        var toAdd = _segments.BytesToAddFor(put.RecordBytes) + ShardOf(put.Hash).BytesToAddForKey;
        return toAdd == 0 || HasRoom(toAdd);
    }

    private bool HasRoom(long bytes) => MemoryBytes + BytesToAdd + bytes <= _budget.BytesMax;

    // What may be added without a put.
    private long BytesToAdd => _ordered.BytesToAdd + RemovedBytesToAdd;

    // What stays when every entry was evicted: the least indexes, and the keys that are remembered for watchers. The rest is free for the
    // segments that are being filled.
    private long RecordBytesMax() => Evicts
        ? _budget.BytesMax - _index.Bytes - _ordered.Bytes - ((long)_budget.RemovedBytesOfShardMin * _shards.Length) - _budget.FreeBytes
        : long.MaxValue;

    private readonly record struct WantedRoom(ulong Hash, int RecordBytes);
}
