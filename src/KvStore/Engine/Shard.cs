using KvStore.Keys;

namespace KvStore.Engine;

/// <summary>
/// The writers' side of one slice of the key space: its lock, what happens under it, its counts, and the keys that the
/// ordered index has yet to learn of.
/// </summary>
/// <remarks>
/// Every member is for the holder of <see cref="Gate"/>, except where it says otherwise. In whatever happens here the word
/// is written first and the record it left is marked dead afterwards: so whoever sees a dead record finds the newer state
/// in the index.
/// </remarks>
internal sealed class Shard(int number, SegmentTable segments, HashIndex index)
{
    // What is announced may be much more than what comes.
    private const int PreparedWordsMax = 1 << 20;

    // What is kept for the next ones: twice what a shard collects before it asks for a merge.
    private const int NewKeysKept = 1024;

    private long[] _newKeys = [];
    private int _newKeyCount;
    private int _live;
    private int _tombstones;

    // Words that are not empty: those of keys and tombstones, and the marks of removed ones.
    private int _occupied;
    private long _removedCount;

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

    /// <summary>Whether the table is much too large. Any thread may ask.</summary>
    public bool IsSparse => index.WordsOf(number).Length is var words && words > HashIndex.WordsMin
        && (Live + Volatile.Read(ref _tombstones)) * 5 < words;

    /// <summary>Makes a numbered draft the newest record of its key, unless there is a newer one, or this one already.</summary>
    public bool PublishHoldingLock<TKey>(in TKey key, in RecordDraft draft, bool isTombstone)
        where TKey : struct, IKey, allows ref struct
    {
        var newWord = IndexWord.TagOf(key.Hash) | draft.Address;
        if (isTombstone)
        {
            newWord |= IndexWord.TombstoneBit;
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
            Volatile.Write(ref word, newWord | (oldWord & WordPlace.Mask));
            var gone = old.LargeValue;
            Kill(old, oldWord);
            TellGone(gone);
            hadValue = (oldWord & IndexWord.TombstoneBit) == 0;
            CountGone(hadValue);
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
        if (!index.TryFindSlotHoldingLock(key, out var slot, out record))
        {
            return false;
        }

        return RemoveAt(slot);
    }

    /// <summary>Removes the word that holds an address, if there still is one.</summary>
    public bool TryRemoveHoldingLock(ulong hash, long address)
    {
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
        var slot = index.SlotOfAddressHoldingLock(hash, address);
        if (slot < 0)
        {
            return false;
        }

        ref var word = ref index.WordsOf(number)[slot];
        Volatile.Write(ref word, (word & ~IndexWord.AddressMask) | copy.Address);
        Kill(segments.RecordAt(address), address);
        return true;
    }

    /// <summary>Drops the tombstones up to a revision.</summary>
    public void ForgetTombstonesHoldingLock(long throughRevision)
    {
        var words = index.WordsOf(number);
        for (var slot = 0; slot < words.Length && _tombstones > 0; slot++)
        {
            var isOld = words[slot] < 0 && (words[slot] & IndexWord.TombstoneBit) != 0
                && segments.RecordAt(words[slot]).Revision <= throughRevision;
            if (isOld)
            {
                RemoveAt(slot);
            }
        }
    }

    /// <summary>Makes room for so many keys.</summary>
    public void PrepareHoldingLock(int keys)
    {
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
    public void ResizeHoldingLock()
    {
        // Between a quarter and half full afterwards.
        var keys = _live + _tombstones + 1;
        var wordCount = HashIndex.WordsMin;
        while (wordCount < keys * 2)
        {
            wordCount *= 2;
        }

        index.ResizeHoldingLock(number, wordCount);
        _occupied = _live + _tombstones;
    }

    /// <summary>Forgets everything.</summary>
    public void ClearHoldingLock()
    {
        index.ClearHoldingLock(number);
        _live = _tombstones = _occupied = 0;
        _newKeys = [];
        Volatile.Write(ref _newKeyCount, 0);
    }

    /// <summary>Hands the new keys over, by the addresses of their records.</summary>
    public void MoveNewKeysTo(KeyBatch batch)
    {
        batch.Add(_newKeys.AsSpan(0, _newKeyCount));
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
        if (words[slot] == IndexWord.Empty && (_occupied + 1) * 4 > words.Length * 3)
        {
            ResizeHoldingLock();
            words = index.WordsOf(number);
            index.TryFindSlotHoldingLock(key, out slot, out _);
        }

        if (words[slot] == IndexWord.Empty)
        {
            _occupied++;
        }

        Volatile.Write(ref words[slot], newWord | WordPlace.Of(key.Hash, slot, words.Length));
    }

    private void AddNewKey(long address)
    {
        if (_newKeyCount == _newKeys.Length)
        {
            Array.Resize(ref _newKeys, Math.Max(16, _newKeys.Length * 2));
        }

        _newKeys[_newKeyCount] = address;
        Volatile.Write(ref _newKeyCount, _newKeyCount + 1);
    }

    // Whether it was a value, and not a tombstone.
    private bool RemoveAt(int slot)
    {
        var word = index.WordsOf(number)[slot];
        var record = segments.RecordAt(word);
        var isValue = (word & IndexWord.TombstoneBit) == 0;
        _occupied -= index.RemoveHoldingLock(number, slot) ? 1 : 0;
        _removedCount += isValue ? 1 : 0;
        CountGone(isValue);
        var gone = record.LargeValue;
        Kill(record, word);
        TellGone(gone);
        return isValue;
    }

    private void CountGone(bool wasValue)
    {
        if (wasValue)
        {
            Volatile.Write(ref _live, _live - 1);
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
