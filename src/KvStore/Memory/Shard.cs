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
/// The writers' side of one slice of the key space: its lock, what happens under it, its counts, and the keys that the
/// ordered index has yet to learn of.
/// </summary>
/// <remarks>
/// Every member is for the holder of <see cref="Gate"/>, except where it says otherwise. In whatever happens here the word
/// is written first and the record it left is marked dead afterwards: so whoever sees a dead record finds the newer state
/// in the index. A mutation takes what memory it needs before it writes the word, and nothing fails afterwards.
/// </remarks>
internal sealed class Shard(int number, SegmentTable segments, HashIndex index, string name)
{
    // What is announced may be much more than what comes.
    private const int PreparedWordsMax = 1 << 20;

    // What is kept for the next ones: twice what a shard collects before it asks for a merge.
    private const int NewKeysKept = 1024;

    // A few microseconds' worth.
    private const int WordsAtOnce = 4096;

    private long[] _newKeys = [];
    private int _newKeyCount;
    private int _live;
    private int _tombstones;

    // Words that are not empty: those of keys and tombstones, and the marks of removed ones.
    private int _occupied;
    private long _removedCount;
    private long _liveBytes;
    private bool _hasLostNewKeys;
    private bool _isClosed;

    /// <summary>Held for the few instructions that publish a mutation, and while the table grows. Readers don't take it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>
    /// Called under the lock, once for each record whose value is kept outside memory and that the index has left for good, or
    /// that came too late.
    /// </summary>
    public Action<KvValueReference>? LargeValueGone { get; set; }

    /// <summary>How many deletes are remembered. Any thread may ask.</summary>
    public int Tombstones => Volatile.Read(ref _tombstones);

    /// <summary>Keys that have a value. Any thread may ask.</summary>
    public int Live => Volatile.Read(ref _live);

    /// <summary>How many keys have lost their value without a new one, ever. Any thread may ask.</summary>
    public long RemovedCount => Volatile.Read(ref _removedCount);

    /// <summary>How many new keys wait for the ordered index. Any thread may ask.</summary>
    public int NewKeyCount => Volatile.Read(ref _newKeyCount);

    /// <summary>
    /// Whether there was no memory to keep new keys for the ordered index, which has to be rebuilt from the words. Any thread may ask.
    /// </summary>
    public bool HasLostNewKeys => Volatile.Read(ref _hasLostNewKeys);

    /// <summary>Whether <see cref="LiveBytes"/> is kept. Set before anything is published.</summary>
    public bool CountsLiveBytes { get; set; }

    /// <summary>The bytes of keys, metadata and values of all entries, where that is counted. Any thread may ask.</summary>
    public long LiveBytes => Volatile.Read(ref _liveBytes);

    /// <summary>Whether the table is much too large. Any thread may ask.</summary>
    public bool IsSparse => index.WordsOf(number).Length is var words && words > HashIndex.WordsMin
        && (Live + Volatile.Read(ref _tombstones)) * 5 < words;

    /// <summary>Makes a numbered draft the newest record of its key, unless there is a newer one, or this one already.</summary>
    public bool PublishHoldingLock<TKey>(in TKey key, in RecordDraft draft, bool isTombstone)
        where TKey : struct, IKey, allows ref struct
    {
        ThrowIfClosed();
        var newWord = HashEntry.TagOf(key.Hash) | draft.Address;
        if (isTombstone)
        {
            newWord |= HashEntry.TombstoneBit;
            draft.Record.MarkTombstone();
        }

        var hadValue = false;
        if (index.TryFindSlotHoldingLock(key, out var slot, out var old))
        {
            if (old.Revision >= draft.Record.Revision)
            {
                if (old.Revision != draft.Record.Revision)
                {
                    TellGone(draft.Record.LargeValue);
                }

                // The same mutation again: recovery may meet it in a snapshot and in the log after it.
                return false;
            }

            ref var word = ref index.WordsOf(number)[slot];
            var oldWord = word;
            Volatile.Write(ref word, newWord | (oldWord & HomeBucket.Mask));
            var gone = old.LargeValue;
            hadValue = (oldWord & HashEntry.TombstoneBit) == 0;
            CountGone(old, hadValue);
            Kill(old, oldWord);
            TellGone(gone);
        }
        else
        {
            Insert(key, slot, newWord);
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
            AddNewKey(draft.Address);
        }

        return true;
    }

    /// <summary>Removes a key's word, and says which record it had, if that was a value.</summary>
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

    /// <summary>Removes the word that holds an address, if there still is one.</summary>
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

    /// <summary>Points the word that holds an address at a copy of the record, if there still is one.</summary>
    public bool TryRelocateHoldingLock(ulong hash, long address, in RecordDraft copy)
    {
        ThrowIfClosed();
        var slot = index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        ref var word = ref index.WordsOf(number)[slot];
        Volatile.Write(ref word, (word & ~HashEntry.AddressMask) | copy.Address);
        Kill(segments.RecordAt(address), address);
        return true;
    }

    /// <summary>Drops the tombstones up to a revision.</summary>
    public void ForgetTombstonesHoldingLock(long throughRevision)
    {
        ThrowIfClosed();
        var words = index.WordsOf(number);
        for (var slot = 0; slot < words.Length && _tombstones > 0; slot++)
        {
            var isOld = words[slot] < 0 && (words[slot] & HashEntry.TombstoneBit) != 0
                && segments.RecordAt(words[slot]).Revision <= throughRevision;
            if (isOld)
            {
                RemoveAt(slot);
            }
        }
    }

    /// <summary>Takes the memory for the words of so many new keys, which are then published without a failure.</summary>
    /// <exception cref="OutOfMemoryException">There is none; nothing has changed.</exception>
    public void ReserveHoldingLock(int keys)
    {
        ThrowIfClosed();
        // One word stays empty, so that a search ends.
        if (index.WordsOf(number).Length - _occupied <= keys)
        {
            ResizeHoldingLock(keys);
        }
    }

    /// <summary>Makes room for so many keys.</summary>
    public void PrepareHoldingLock(int keys)
    {
        ThrowIfClosed();
        var wordCount = HashIndex.WordsMin;
        while (wordCount < keys * 2L && wordCount < PreparedWordsMax)
        {
            wordCount *= 2;
        }

        if (wordCount > index.WordsOf(number).Length)
        {
            index.ResizeHoldingLock(number, wordCount);
            _occupied = _live + _tombstones;
        }
    }

    /// <summary>Gives the table the size that its keys need, and frees it of the marks of removed ones.</summary>
    /// <param name="newKeys">How many more keys are about to come.</param>
    public void ResizeHoldingLock(int newKeys = 1)
    {
        ThrowIfClosed();
        // Between a quarter and half full afterwards.
        var keys = _live + _tombstones + newKeys;
        var wordCount = HashIndex.WordsMin;
        while (wordCount < keys * 2)
        {
            wordCount *= 2;
        }

        index.ResizeHoldingLock(number, wordCount);
        _occupied = _live + _tombstones;
    }

    /// <summary>Forgets everything; every later call throws.</summary>
    public void CloseHoldingLock()
    {
        _isClosed = true;
        index.CloseHoldingLock(number);
        _live = _tombstones = _occupied = 0;
        _liveBytes = 0;
        _newKeys = [];
        Volatile.Write(ref _newKeyCount, 0);
    }

    /// <summary>
    /// Finds live records that were not shown, from a place on: until there is no more room, or for so long as others may be kept waiting.
    /// </summary>
    public void FindOthersHoldingLock(ShownRecords shown, long throughRevision, ref HashIndexCursor place, Span<Record> results, ref int count, CoarseClock clock)
    {
        ThrowIfClosed();
        var words = index.WordsOf(number);
        if (place.WordCount != words.Length || place.Table != index.NumberOfTable(number))
        {
            place = new HashIndexCursor(number, Slot: 0, words.Length, index.NumberOfTable(number));
        }

        var slot = place.Slot;
        var end = Math.Min(words.Length, slot + WordsAtOnce);
        for (; slot < end && count < results.Length; slot++)
        {
            var word = words[slot];
            if (word < 0 && (word & HashEntry.TombstoneBit) == 0)
            {
                var record = segments.RecordAt(word);
                if (record.Revision <= throughRevision && !shown.Contains(record) && !clock.HasPassed(record.Deadline))
                {
                    results[count++] = record;
                }
            }
        }

        place = slot == words.Length ? new HashIndexCursor(number + 1, Slot: 0, WordCount: 0, Table: 0) : place with { Slot = slot };
    }

    /// <summary>Hands the new keys over, by the addresses of their records.</summary>
    public void MoveNewKeysTo(KeyBatch batch)
    {
        batch.Add(_newKeys.AsSpan(0, _newKeyCount));
        ForgetNewKeys();
    }

    /// <summary>Hands all keys over, by the addresses of their newest records, whatever was handed over before.</summary>
    public void CopyKeysTo(KeyBatch batch)
    {
        batch.Reserve(_live);
        foreach (var word in index.WordsOf(number))
        {
            if (word < 0 && (word & HashEntry.TombstoneBit) == 0)
            {
                batch.Add(word & HashEntry.AddressMask);
            }
        }

        ForgetNewKeys();
        Volatile.Write(ref _hasLostNewKeys, false);
    }

    private void ThrowIfClosed()
    {
        Debug.Assert(Gate.IsHeldByCurrentThread);
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }
    }

    private void ForgetNewKeys()
    {
        Volatile.Write(ref _newKeyCount, 0);
        if (_newKeys.Length > NewKeysKept)
        {
            _newKeys = [];
        }
    }

    private void Insert<TKey>(in TKey key, int slot, long newWord)
        where TKey : struct, IKey, allows ref struct
    {
        // Three quarters full is where searches begin to grow long.
        var words = index.WordsOf(number);
        if (words[slot] == HashEntry.Empty && (_occupied + 1) * 4 > words.Length * 3 && TryResize())
        {
            words = index.WordsOf(number);
            index.TryFindSlotHoldingLock(key, out slot, out _);
        }

        if (words[slot] == HashEntry.Empty)
        {
            _occupied++;
        }

        Volatile.Write(ref words[slot], newWord | HomeBucket.Of(key.Hash, slot, words.Length));
    }

    // Without memory a table may fill until one word is left that ends a search; a mutation that was made durable has its word.
    private bool TryResize()
    {
        try
        {
            ResizeHoldingLock();
            return true;
        }
        catch (OutOfMemoryException) when (_occupied + 1 < index.WordsOf(number).Length)
        {
            return false;
        }
    }

    private void AddNewKey(long address)
    {
        if (_newKeyCount == _newKeys.Length && !TryGrowNewKeys())
        {
            // The key has its word already: the ordered index will have to ask the words.
            Volatile.Write(ref _hasLostNewKeys, true);
            return;
        }

        _newKeys[_newKeyCount] = address;
        Volatile.Write(ref _newKeyCount, _newKeyCount + 1);
    }

    private bool TryGrowNewKeys()
    {
        try
        {
            AllocationProbe.Before();
            Array.Resize(ref _newKeys, Math.Max(16, _newKeys.Length * 2));
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }

    // Whether it was a value, and not a tombstone.
    private bool RemoveAt(int slot)
    {
        var word = index.WordsOf(number)[slot];
        var record = segments.RecordAt(word);
        var isValue = (word & HashEntry.TombstoneBit) == 0;
        _occupied -= index.RemoveHoldingLock(number, slot) ? 1 : 0;
        _removedCount += isValue ? 1 : 0;
        CountGone(record, isValue);
        var gone = record.LargeValue;
        Kill(record, word);
        TellGone(gone);
        return isValue;
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

    private void TellGone(KvValueReference reference)
    {
        if (!reference.IsNone)
        {
            LargeValueGone?.Invoke(reference);
        }
    }

    private void Kill(Record record, long word)
    {
        // Looked up first: once the record is dead, the cleaner may drop its segment at any moment.
        var segment = segments.SegmentOf(word);
        record.MarkDead();
        segment.CountDead(record.SizeInSegment);
    }
}
