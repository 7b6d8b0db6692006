using System.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;

namespace KvStore.Memory;

/// <content>
/// Many changes that readers see at one moment: they are made in a table beside the one that readers have. The records that the new table
/// leaves stay alive until readers have it.
/// </content>
internal sealed partial class Shard
{
    // The entries that the table beside has left; null while there is none.
    private List<long>? _left;
    private Counts _before;

    /// <summary>Begins a table beside the one that readers have. Mutations go there until <see cref="EndSwapHoldingLock"/> or <see cref="AbandonSwapHoldingLock"/>.</summary>
    /// <param name="newKeys">How many keys may come.</param>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public void BeginSwapHoldingLock(int newKeys)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread && _left is null);
        ThrowIfClosed();
        var left = new List<long>(newKeys);
        _index.BeginSuccessorHoldingLock(_number, EntriesFor(_live + _tombstones + newKeys));
        _before = new Counts(_live, _tombstones, _occupied, _removedCount, _liveBytes);
        _occupied = _live + _tombstones;
        _left = left;
    }

    /// <summary>Forgets the table beside, and what was changed there.</summary>
    public void AbandonSwapHoldingLock()
    {
        Debug.Assert(Lock.IsHeldByCurrentThread && _left is not null);
        _left = null;
        _index.AbandonSuccessorHoldingLock(_number);
        (_live, _tombstones, _occupied, _removedCount, _liveBytes) = _before;
    }

    /// <summary>Readers have the table that was beside: the records that it has left are dead.</summary>
    public void EndSwapHoldingLock()
    {
        Debug.Assert(Lock.IsHeldByCurrentThread && _left is not null);
        var left = _left;
        _left = null;
        foreach (var entry in left)
        {
            Kill(_segments.RecordAt(entry), entry);
        }
    }

    /// <summary>Removes the value of a key without a tombstone, if its revision is not above another one.</summary>
    /// <returns>Whether it was removed; then it is the record.</returns>
    public bool TryRemoveThroughHoldingLock<TKey>(in TKey key, long throughRevision, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        return _index.TryFindSlotHoldingLock(key, out var slot, out record)
            && !record.IsTombstone && record.Revision <= throughRevision && RemoveAt(slot);
    }

    private readonly record struct Counts(int Live, int Tombstones, int Occupied, long Removed, long LiveBytes);
}
