using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// The writers' side of one slice of the key space: its lock, the changes under it, its counts, and the new keys that the ordered
/// index has not taken.
/// </summary>
/// <remarks>
/// Call every member only while holding <see cref="Gate"/>, except where its summary says otherwise. Every change writes the index
/// entry first and marks the record that it replaces dead afterwards: so a reader who sees a dead record finds the newer state in the
/// index. A mutation takes its memory before it writes the entry, and nothing fails afterwards.
/// </remarks>
internal sealed class Shard(int number, SegmentTable segments, HashIndex index, string name, Action<KvValueReference>? releaseLargeValue) : IShardKeys
{
    // What is announced may be much more than what comes.
    private const int PreparedEntriesMax = 1 << 20;

    // A few microseconds' worth.
    private const int EntriesAtOnce = 4096;

    private readonly NewKeys _newKeys = new();
    private int _live;
    private int _tombstones;

    // Index entries that are not empty: those of keys and tombstones, and those of removed keys.
    private int _occupied;
    private long _removedCount;
    private long _liveBytes;
    private bool _isClosed;

    /// <summary>Held for the few instructions that publish a mutation, and while the table grows. Readers don't take it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>How many deletes are remembered. Any thread may ask.</summary>
    public int Tombstones => Volatile.Read(ref _tombstones);

    /// <summary>Keys that have a value. Any thread may ask.</summary>
    public int Live => Volatile.Read(ref _live);

    /// <summary>How many keys have lost their value without a new one, ever. Any thread may ask.</summary>
    public long RemovedCount => Volatile.Read(ref _removedCount);

    /// <summary>How many new keys wait for the ordered index. Any thread may ask.</summary>
    public int NewKeyCount => _newKeys.Count;

    /// <summary>
    /// Whether there was no memory to keep new keys for the ordered index, which has to be rebuilt from the hash index. Any thread may ask.
    /// </summary>
    public bool HasLostNewKeys => _newKeys.HasLost;

    /// <summary>Whether <see cref="LiveBytes"/> is kept. Set before anything is published.</summary>
    public bool CountsLiveBytes { get; set; }

    /// <summary>The bytes of keys, metadata and values of all entries, where that is counted. Any thread may ask.</summary>
    public long LiveBytes => Volatile.Read(ref _liveBytes);

    /// <summary>Whether the table is much too large. Any thread may ask.</summary>
    public bool IsSparse => index.EntriesOf(number).Length is var entries && entries > HashIndex.EntriesMin
        && (Live + Volatile.Read(ref _tombstones)) * 5 < entries;

    /// <summary>Makes a draft that has its revision the newest record or tombstone of its key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The draft.</param>
    /// <param name="isRepeat">Whether the key has the same mutation already: recovery may meet one in a snapshot and in the log after it.</param>
    /// <returns>False when the key has a newer one, or the same one.</returns>
    public bool PublishHoldingLock<TKey>(in TKey key, in RecordDraft draft, out bool isRepeat)
        where TKey : struct, IKey, allows ref struct
    {
        ThrowIfClosed();
        Debug.Assert(draft.Record.Revision > 0, "A mutation has its revision when it is published.");
        isRepeat = false;
        var isTombstone = draft.Record.IsTombstone;
        var newEntry = HashEntry.TagOf(key.Hash) | draft.Address | (isTombstone ? HashEntry.TombstoneBit : 0);
        var hadValue = false;
        if (index.TryFindSlotHoldingLock(key, out var slot, out var old))
        {
            if (old.Revision >= draft.Record.Revision)
            {
                isRepeat = old.Revision == draft.Record.Revision;
                return false;
            }

            hadValue = ReplaceAt(slot, old, newEntry);
        }
        else
        {
            Insert(key, slot, newEntry);
        }

        if (isTombstone)
        {
            _tombstones++;
            _removedCount += hadValue ? 1 : 0;
            return true;
        }

        Volatile.Write(ref _live, _live + 1);
        if (CountsLiveBytes)
        {
            Volatile.Write(ref _liveBytes, _liveBytes + draft.Record.LiveBytes);
        }

        if (!hadValue)
        {
            _newKeys.Add(draft.Address);
        }

        return true;
    }

    /// <summary>Puts a tombstone in the place of the record at an address, if the index still leads there.</summary>
    public bool TryBuryHoldingLock(ulong hash, long address, in RecordDraft tombstone)
    {
        ThrowIfClosed();
        Debug.Assert(tombstone.Record.IsTombstone);
        var slot = index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        var old = segments.RecordAt(address);
        Debug.Assert(old.Revision == tombstone.Record.Revision, "An older put must lose against the tombstone as it did against the record.");
        _removedCount += ReplaceAt(slot, old, HashEntry.TagOf(hash) | tombstone.Address | HashEntry.TombstoneBit) ? 1 : 0;
        _tombstones++;
        return true;
    }

    /// <summary>Removes a key's index entry.</summary>
    /// <returns>Whether the key had a value, and not a tombstone or nothing.</returns>
    public bool TryRemoveHoldingLock<TKey>(in TKey key, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        ThrowIfClosed();
        if (!index.TryFindSlotHoldingLock(key, out var slot, out record))
        {
            return false;
        }

        return RemoveAt(slot);
    }

    /// <summary>Removes the index entry that holds an address, if there still is one.</summary>
    public bool TryRemoveHoldingLock(ulong hash, long address)
    {
        ThrowIfClosed();
        var slot = index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        RemoveAt(slot);
        return true;
    }

    /// <summary>Points the index entry that holds an address at a copy of the record, if there still is one.</summary>
    public bool TryRelocateHoldingLock(ulong hash, long address, in RecordDraft copy)
    {
        ThrowIfClosed();
        var slot = index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        ref var entry = ref index.EntriesOf(number)[slot];
        Volatile.Write(ref entry, (entry & ~RecordAddress.Mask) | copy.Address);
        MarkDead(segments.RecordAt(address), address);
        return true;
    }

    /// <summary>Drops the tombstones up to a revision.</summary>
    public void ForgetTombstonesHoldingLock(long throughRevision)
    {
        ThrowIfClosed();
        var entries = index.EntriesOf(number);
        for (var slot = 0; slot < entries.Length && _tombstones > 0; slot++)
        {
            var isOld = entries[slot] < 0 && (entries[slot] & HashEntry.TombstoneBit) != 0
                && segments.RecordAt(entries[slot]).Revision <= throughRevision;
            if (isOld)
            {
                RemoveAt(slot);
            }
        }
    }

    /// <summary>Takes the memory for the index entries of so many new keys, which are then published without a failure.</summary>
    /// <exception cref="OutOfMemoryException">There is none; nothing has changed.</exception>
    public void ReserveHoldingLock(int keys)
    {
        ThrowIfClosed();
        // One entry stays empty, so that a probe ends.
        if (index.EntriesOf(number).Length - _occupied <= keys)
        {
            ResizeHoldingLock(keys);
        }
    }

    /// <summary>Makes room for so many keys.</summary>
    public void PrepareHoldingLock(int keys)
    {
        ThrowIfClosed();
        var entryCount = HashIndex.EntriesMin;
        while (entryCount < keys * 2L && entryCount < PreparedEntriesMax)
        {
            entryCount *= 2;
        }

        if (entryCount > index.EntriesOf(number).Length)
        {
            index.ResizeHoldingLock(number, entryCount);
            _occupied = _live + _tombstones;
        }
    }

    /// <summary>Gives the table the size that its keys need, and frees it of the entries of removed keys.</summary>
    /// <param name="newKeys">How many more keys are about to come.</param>
    public void ResizeHoldingLock(int newKeys = 1)
    {
        ThrowIfClosed();
        // Between a quarter and half full afterwards.
        var keys = _live + _tombstones + newKeys;
        var entryCount = HashIndex.EntriesMin;
        while (entryCount < keys * 2)
        {
            entryCount *= 2;
        }

        index.ResizeHoldingLock(number, entryCount);
        _occupied = _live + _tombstones;
    }

    /// <summary>Forgets everything; every later call throws.</summary>
    public void CloseHoldingLock()
    {
        _isClosed = true;
        index.CloseHoldingLock(number);
        _live = _tombstones = _occupied = 0;
        _liveBytes = 0;
        _newKeys.Close();
    }

    /// <summary>
    /// Finds live records that were not shown, from a place on: until there is no more room, or for so long as others may be kept waiting.
    /// </summary>
    public void FindOthersHoldingLock(ShownRecords shown, long throughRevision, ref HashIndexCursor cursor, Span<Record> results, ref int count, CoarseClock clock)
    {
        ThrowIfClosed();
        var entries = index.EntriesOf(number);
        if (cursor.EntryCount != entries.Length || cursor.Table != index.NumberOfTable(number))
        {
            cursor = new HashIndexCursor(number, Slot: 0, entries.Length, index.NumberOfTable(number));
        }

        var slot = cursor.Slot;
        var end = Math.Min(entries.Length, slot + EntriesAtOnce);
        for (; slot < end && count < results.Length; slot++)
        {
            var entry = entries[slot];
            if (entry < 0 && (entry & HashEntry.TombstoneBit) == 0)
            {
                var record = segments.RecordAt(entry);
                if (record.Revision <= throughRevision && !shown.Contains(record) && !clock.HasPassed(record.Deadline))
                {
                    results[count++] = record;
                }
            }
        }

        cursor = slot == entries.Length ? new HashIndexCursor(number + 1, Slot: 0, EntryCount: 0, Table: 0) : cursor with { Slot = slot };
    }

    /// <summary>Hands the new keys over, by the addresses of their records.</summary>
    public void MoveNewKeysTo(KeyBatch batch)
    {
        lock (Gate)
        {
            _newKeys.MoveTo(batch);
        }
    }

    /// <summary>Hands all keys over, by the addresses of their newest records, whatever was handed over before.</summary>
    public void CopyKeysTo(KeyBatch batch)
    {
        lock (Gate)
        {
            batch.Reserve(_live);
            foreach (var entry in index.EntriesOf(number))
            {
                if (entry < 0 && (entry & HashEntry.TombstoneBit) == 0)
                {
                    batch.Add(entry & RecordAddress.Mask);
                }
            }

            _newKeys.Forget();
        }
    }

    private void ThrowIfClosed()
    {
        Debug.Assert(Gate.IsHeldByCurrentThread);
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }
    }

    private void Insert<TKey>(in TKey key, int slot, long newEntry)
        where TKey : struct, IKey, allows ref struct
    {
        // Three quarters full is where searches begin to grow long.
        var entries = index.EntriesOf(number);
        if (entries[slot] == HashEntry.Empty && (_occupied + 1) * 4 > entries.Length * 3 && TryResize())
        {
            entries = index.EntriesOf(number);
            index.TryFindSlotHoldingLock(key, out slot, out _);
        }

        if (entries[slot] == HashEntry.Empty)
        {
            _occupied++;
        }

        Volatile.Write(ref entries[slot], newEntry | HomeBucket.Of(key.Hash, slot, entries.Length));
    }

    // Without memory a table may fill until one empty entry is left, which ends a probe; so a mutation that was made durable is published.
    private bool TryResize()
    {
        try
        {
            ResizeHoldingLock();
            return true;
        }
        catch (OutOfMemoryException) when (_occupied + 1 < index.EntriesOf(number).Length)
        {
            return false;
        }
    }

    // Whether it was a value, and not a tombstone.
    private bool RemoveAt(int slot)
    {
        var entry = index.EntriesOf(number)[slot];
        var record = segments.RecordAt(entry);
        var isValue = (entry & HashEntry.TombstoneBit) == 0;
        _occupied -= index.RemoveHoldingLock(number, slot) ? 1 : 0;
        _removedCount += isValue ? 1 : 0;
        CountGone(record, isValue);
        Kill(record, entry);
        return isValue;
    }

    // Returns whether the record that is replaced was a value, and not a tombstone.
    private bool ReplaceAt(int slot, Record old, long newEntry)
    {
        ref var entry = ref index.EntriesOf(number)[slot];
        var oldEntry = entry;
        var hadValue = (oldEntry & HashEntry.TombstoneBit) == 0;
        Volatile.Write(ref entry, newEntry | (oldEntry & HomeBucket.Mask));
        CountGone(old, hadValue);
        Kill(old, oldEntry);
        return hadValue;
    }

    private void CountGone(Record record, bool wasValue)
    {
        if (wasValue)
        {
            Volatile.Write(ref _live, _live - 1);
            if (CountsLiveBytes)
            {
                Volatile.Write(ref _liveBytes, _liveBytes - record.LiveBytes);
            }
        }
        else
        {
            _tombstones--;
        }
    }

    // The index has left the record for good: it is dead, and its large value is released.
    private void Kill(Record record, long entry)
    {
        var largeValue = record.LargeValue;
        MarkDead(record, entry);
        if (!largeValue.IsNone)
        {
            releaseLargeValue?.Invoke(largeValue);
        }
    }

    private void MarkDead(Record record, long entry)
    {
        // Looked up first: once the record is dead, the cleaner may drop its segment at any moment.
        var segment = segments.SegmentOf(entry);
        record.MarkDead();
        segment.CountDead(record.SizeInSegment);
    }
}
