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
/// The writers' side of one slice of the key space: its lock, the changes of its table, which happen under the lock, and its counts.
/// </summary>
/// <remarks>
/// Methods named <c>HoldingLock</c> require <see cref="Lock"/>; properties may be read by any thread. Each change writes the entry of
/// the index first and marks the record that it replaced dead afterwards: so a thread that sees a dead record finds the newer state in
/// the index. A mutation takes the memory that it needs before it writes the entry, and nothing fails afterwards.
/// </remarks>
internal sealed partial class Shard
{
    // A few microseconds' worth.
    private const int EntriesAtOnce = 4096;

    private readonly int _number;
    private readonly SegmentTable _segments;
    private readonly HashIndex _index;
    private readonly string _name;
    private readonly Action<KvValueReference>? _releaseLargeValue;
    private int _live;
    private int _tombstones;

    // Words that are not empty: those of keys and tombstones, and the marks of removed ones.
    private int _occupied;
    private long _removedCount;
    private long _liveBytes;
    private bool _isClosed;

    /// <param name="number">Its number.</param>
    /// <param name="segments">Where the records are.</param>
    /// <param name="index">Where its table is.</param>
    /// <param name="name">The name of the namespace, for the exception after closing.</param>
    /// <param name="newKeysMax">How many keys may wait for the ordered index before a merge is requested.</param>
    /// <param name="releaseLargeValue">See <see cref="ShardedStore"/>.</param>
    public Shard(int number, SegmentTable segments, HashIndex index, string name, int newKeysMax, Action<KvValueReference>? releaseLargeValue)
    {
        _number = number;
        _segments = segments;
        _index = index;
        _name = name;
        _releaseLargeValue = releaseLargeValue;
        Lock = index.LockOf(number);
        NewKeys = new NewKeys(number, index, Lock, newKeysMax);
    }

    /// <summary>Held for the few instructions that publish a mutation, and while the table grows. Readers do not take it.</summary>
    public Lock Lock { get; }

    /// <summary>The keys that wait for the ordered index.</summary>
    public NewKeys NewKeys { get; }

    /// <summary>How many deletes are remembered.</summary>
    public int Tombstones => Volatile.Read(ref _tombstones);

    /// <summary>What the last mutation that was published found. Read it only while still holding the lock under which that was.</summary>
    public ReplacedRecord Replaced { get; private set; }

    /// <summary>Keys that have a value.</summary>
    public int Live => Volatile.Read(ref _live);

    /// <summary>How many keys have lost their value without a new one, ever.</summary>
    public long RemovedCount => Volatile.Read(ref _removedCount);

    /// <summary>Whether <see cref="LiveBytes"/> is kept. Set before anything is published.</summary>
    public bool CountsLiveBytes { get; set; }

    /// <summary>Whether an overwrite counts as a use. Set before anything is published.</summary>
    public bool CountsUses { get; set; }

    /// <summary>The bytes of keys, metadata and values of all entries, where that is counted.</summary>
    public long LiveBytes => Volatile.Read(ref _liveBytes);

    /// <summary>Whether the table is much too large.</summary>
    public bool IsSparse => _index.EntriesOf(_number).Length is var entries && entries > HashIndex.EntriesMin
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
        if (_index.TryFindSlotHoldingLock(key, out var slot, out var old))
        {
            if (old.Revision >= draft.Record.Revision)
            {
                isRepeat = old.Revision == draft.Record.Revision;
                return false;
            }

            if (CountsUses && !isTombstone)
            {
                draft.Record.SetUses(Math.Min(old.Uses + 1, RecordLayout.UsesMax));
            }

            hadValue = ReplaceAt(slot, old, newEntry);
            Replaced = new ReplacedRecord(old.Revision, old.Deadline, hadValue);
        }
        else
        {
            Insert(key, slot, newEntry);
            Replaced = default;
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

        if (!hadValue && _left is null)
        {
            NewKeys.AddHoldingLock(draft.Address);
        }

        return true;
    }

    /// <summary>See <see cref="ShardedStore.RecoverTouch"/>.</summary>
    public void RecoverTouchHoldingLock<TKey>(in TKey key, long revision, long touchedRevision, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        if (_index.TryFindSlotHoldingLock(key, out var slot, out var record) && !record.IsTombstone && record.Revision <= touchedRevision)
        {
            record.SetRevision(revision);
            record.SetDeadline(deadline);
            if (!deadline.IsNone)
            {
                _segments.SegmentOf(_index.EntriesOf(_number)[slot]).NoteDeadline(deadline.EarliestSecond);
            }
        }
    }

    /// <summary>Puts a tombstone in the place of the record at an address, if the index still leads there.</summary>
    public bool TryBuryHoldingLock(ulong hash, long address, in RecordDraft tombstone)
    {
        ThrowIfClosed();
        Debug.Assert(tombstone.Record.IsTombstone);
        var slot = _index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        var old = _segments.RecordAt(address);
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
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        if (!_index.TryFindSlotHoldingLock(key, out var slot, out record))
        {
            return false;
        }

        return RemoveAt(slot);
    }

    /// <summary>Removes the index entry that holds an address, if there still is one.</summary>
    public bool TryRemoveHoldingLock(ulong hash, long address)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        var slot = _index.SlotOfAddressHoldingLock(hash, address);
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
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        var slot = _index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        ref var entry = ref _index.EntriesOf(_number)[slot];
        Volatile.Write(ref entry, (entry & ~RecordAddress.Mask) | copy.Address);
        MarkDead(_segments.RecordAt(address), address);
        return true;
    }

    /// <summary>Drops the tombstones up to a revision.</summary>
    public void ForgetTombstonesHoldingLock(long throughRevision)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        var entries = _index.EntriesOf(_number);
        for (var slot = 0; slot < entries.Length && _tombstones > 0; slot++)
        {
            var isOld = entries[slot] < 0 && (entries[slot] & HashEntry.TombstoneBit) != 0
                && _segments.RecordAt(entries[slot]).Revision <= throughRevision;
            if (isOld)
            {
                RemoveAt(slot);
            }
        }
    }

    /// <summary>Forgets everything; every later call throws.</summary>
    public void CloseHoldingLock()
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        _isClosed = true;
        _index.CloseHoldingLock(_number);
        _live = _tombstones = _occupied = 0;
        _liveBytes = 0;
        NewKeys.ClearHoldingLock();
    }

    /// <summary>
    /// Finds live records that were not shown, from a place on: until there is no more room, or for so long as others may be kept waiting.
    /// </summary>
    public void FindOthersHoldingLock(ShownRecords shown, long throughRevision, ref HashIndexCursor cursor, Span<Record> results, ref int count, CoarseClock clock)
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        ThrowIfClosed();
        var entries = _index.EntriesOf(_number);
        if (cursor.EntryCount != entries.Length || cursor.Table != _index.NumberOfTable(_number))
        {
            cursor = new HashIndexCursor(_number, Slot: 0, entries.Length, _index.NumberOfTable(_number));
        }

        var slot = cursor.Slot;
        var end = Math.Min(entries.Length, slot + EntriesAtOnce);
        for (; slot < end && count < results.Length; slot++)
        {
            var entry = entries[slot];
            if (entry < 0 && (entry & HashEntry.TombstoneBit) == 0)
            {
                var record = _segments.RecordAt(entry);
                if (record.Revision <= throughRevision && !shown.Contains(record) && !clock.HasPassed(record.Deadline))
                {
                    results[count++] = record;
                }
            }
        }

        cursor = slot == entries.Length ? new HashIndexCursor(_number + 1, Slot: 0, EntryCount: 0, Table: 0) : cursor with { Slot = slot };
    }

    private void ThrowIfClosed()
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(_name);
        }
    }

    private void Insert<TKey>(in TKey key, int slot, long newEntry)
        where TKey : struct, IKey, allows ref struct
    {
        // Three quarters full is where searches begin to grow long.
        var entries = _index.EntriesOf(_number);
        if (entries[slot] == HashEntry.Empty && (_occupied + 1) * 4 > entries.Length * 3 && TryResize())
        {
            entries = _index.EntriesOf(_number);
            _index.TryFindSlotHoldingLock(key, out slot, out _);
        }

        if (entries[slot] == HashEntry.Empty)
        {
            _occupied++;
        }

        Volatile.Write(ref entries[slot], newEntry | HomeBucket.Of(key.Hash, slot, entries.Length));
    }

    // Whether it was a value, and not a tombstone.
    private bool RemoveAt(int slot)
    {
        var entry = _index.EntriesOf(_number)[slot];
        var record = _segments.RecordAt(entry);
        var isValue = (entry & HashEntry.TombstoneBit) == 0;
        _occupied -= _index.RemoveHoldingLock(_number, slot) ? 1 : 0;
        _removedCount += isValue ? 1 : 0;
        CountGone(record, isValue);
        Kill(record, entry);
        return isValue;
    }

    // Returns whether the record that is replaced was a value, and not a tombstone.
    private bool ReplaceAt(int slot, Record old, long newEntry)
    {
        ref var entry = ref _index.EntriesOf(_number)[slot];
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
        if (_left is { } left)
        {
            // Readers still find it in the table that they have.
            left.Add(entry);
            return;
        }

        var largeValue = record.LargeValue;
        MarkDead(record, entry);
        if (!largeValue.IsNone)
        {
            _releaseLargeValue?.Invoke(largeValue);
        }
    }

    private void MarkDead(Record record, long entry)
    {
        // Looked up first: once the record is dead, the cleaner may drop its segment at any moment.
        var segment = _segments.SegmentOf(entry);
        record.MarkDead();
        segment.CountDead(record.SizeInSegment);
    }
}
