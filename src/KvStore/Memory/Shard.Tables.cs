using System.Diagnostics;
using KvStore.Index;

namespace KvStore.Memory;

/// <content>The size of the table.</content>
internal sealed partial class Shard
{
    // What is announced may be much more than what comes.
    private const int PreparedEntriesMax = 1 << 20;

    /// <summary>The bytes of the larger table that one more key may need now; 0 when the table has room for it.</summary>
    public long BytesToAddForKey
    {
        get
        {
            var entries = _index.EntriesOf(_number).Length;
            return (Volatile.Read(ref _occupied) + 2) * 4L > entries * 3L
                ? Math.Max(0, EntriesFor(Live + Tombstones + 1) - entries) * (long)sizeof(long)
                : 0;
        }
    }

    /// <summary>Takes the memory for the index entries of so many new keys, which are then published without a failure.</summary>
    /// <exception cref="OutOfMemoryException">There is none; nothing has changed.</exception>
    public void ReserveHoldingLock(int keys)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        // One entry stays empty, so that a probe ends.
        if (_index.EntriesOf(_number).Length - _occupied <= keys)
        {
            ResizeHoldingLock(keys);
        }
    }

    /// <summary>Makes room for so many keys.</summary>
    public void PrepareHoldingLock(int keys)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        var entryCount = HashIndex.EntriesMin;
        while (entryCount < keys * 2L && entryCount < PreparedEntriesMax)
        {
            entryCount *= 2;
        }

        if (entryCount > _index.EntriesOf(_number).Length)
        {
            _index.ResizeHoldingLock(_number, entryCount);
            _occupied = _live + _tombstones;
        }
    }

    /// <summary>Gives the table the size that its keys need, and frees it of the marks of removed ones.</summary>
    /// <param name="newKeys">How many more keys are about to come.</param>
    public void ResizeHoldingLock(int newKeys = 1)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        // Between a quarter and half full afterwards.
        _index.ResizeHoldingLock(_number, EntriesFor(_live + _tombstones + newKeys));
        _occupied = _live + _tombstones;
    }

    // Without memory a table may fill until one empty entry is left, which ends a probe; so a mutation that was made durable is published.
    private bool TryResize()
    {
        try
        {
            ResizeHoldingLock();
            return true;
        }
        catch (OutOfMemoryException) when (_occupied + 1 < _index.EntriesOf(_number).Length)
        {
            return false;
        }
    }

    private static int EntriesFor(int keys)
    {
        var entryCount = HashIndex.EntriesMin;
        while (entryCount < keys * 2)
        {
            entryCount *= 2;
        }

        return entryCount;
    }
}
