using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Collects the addresses of new keys and sorts them by key, once each: a part of every key is compared as a
/// number (<see cref="AbbreviatedKey"/>), and only ties look at the records again.
/// </summary>
/// <remarks>For the holder of the ordered index's gate. The buffers are kept for the next batch until <see cref="Trim"/>.</remarks>
internal sealed class KeyBatch(SegmentTable segments, HashIndex index)
{
    private const int TypicalKeyBytes = 24;
    private const int PrefetchAhead = 16;

    // Fewer than this are sorted by comparing: radix sort begins with counting 256 values of each byte.
    private const int RadixKeysMin = 256;

    // What one batch after the other needs; a larger one, that comes with a recovery, gives its buffers back at once.
    private const int KeptKeys = 64 * 1024;

    private KeyHead[] _keys = [];
    private KeyHead[] _scratch = [];

    // What all keys of the batch before began with: most likely those of the next one do as well.
    private byte[] _prefix = [];

    /// <summary>How many addresses wait here; after <see cref="Sort"/>, how many keys there are.</summary>
    public int Count { get; private set; }

    /// <summary>The keys in order, until anything else is done here.</summary>
    public SortedKeys Sorted => new(_keys.AsSpan(0, Count), _prefix);

    /// <summary>Takes addresses of records that are in no segment which can be dropped meanwhile.</summary>
    public void Add(ReadOnlySpan<long> addresses)
    {
        Reserve(addresses.Length);
        foreach (var address in addresses)
        {
            _keys[Count++].Address = address;
        }
    }

    /// <summary>Takes one address. Requires: <see cref="Reserve"/> was called for it.</summary>
    public void Add(long address) => _keys[Count++].Address = address;

    /// <summary>Takes the memory for so many more addresses.</summary>
    public void Reserve(int addresses)
    {
        if (_keys.Length < Count + addresses)
        {
            AllocationProbe.Before();
            Array.Resize(ref _keys, Math.Max(Count + addresses, _keys.Length * 2));
        }
    }

    /// <summary>Forgets everything, and gives the buffers back.</summary>
    public void Drop()
    {
        Count = 0;
        Trim();
    }

    /// <summary>Sorts by key, drops keys that are gone, and of several records of a key all but the newest.</summary>
    public void Sort()
    {
        // Before anything moves: what is not sorted because memory is short is still there the next time.
        if (_scratch.Length < Count && Count >= RadixKeysMin)
        {
            AllocationProbe.Before();
            _scratch = new KeyHead[_keys.Length];
        }

        ReadWindows();
        var keys = _keys.AsSpan(0, Count);
        if (keys.Length < RadixKeysMin)
        {
            keys.Sort(static (x, y) => x.Window.CompareTo(y.Window));
        }
        else
        {
            SortByRadix(keys);
            keys = _keys.AsSpan(0, Count);
        }

        SortTies(keys);
    }

    /// <summary>Forgets the keys, which have their entries now.</summary>
    public void Clear()
    {
        Count = 0;
        if (_keys.Length > KeptKeys)
        {
            Trim();
        }
    }

    /// <summary>Gives the buffers back, unless something waits in them.</summary>
    public void Trim()
    {
        if (Count == 0)
        {
            _keys = [];
            _scratch = [];
        }
    }

    // The first to touch what writers have left here and there. A key that was put and deleted before anyone listed needs no
    // entry, and is dropped.
    private void ReadWindows()
    {
        var keys = _keys.AsSpan(0, Count);
        var first = default(ReadOnlySpan<byte>);
        var shared = 0;
        var isPrefixed = false;
        var kept = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var ahead = keys[Math.Min(i + PrefetchAhead, keys.Length - 1)].Address;
            HashIndex.Prefetch(segments.ArrayOf(ahead), HashEntry.OffsetOf(ahead), TypicalKeyBytes);
            var address = keys[i].Address;
            var record = segments.RecordAt(address);
            if (record.IsDead && !TryFindNewest(ref record, out address))
            {
                continue;
            }

            var key = record.Key;
            if (kept == 0)
            {
                first = key;
                shared = key.Length;
                isPrefixed = key.StartsWith(_prefix);
            }

            shared = key.CommonPrefixLength(first[..shared]);
            ref var head = ref keys[kept++];
            head.Address = address;
            head.Window = isPrefixed && shared >= _prefix.Length ? AbbreviatedKey.Of(key, _prefix.Length) : 0;
        }

        Count = kept;
        if (!isPrefixed || shared != _prefix.Length)
        {
            // Those of this batch begin otherwise: once more, with what they share. They are near now.
            AllocationProbe.Before();
            _prefix = first[..shared].ToArray();
            foreach (ref var key in keys[..kept])
            {
                key.Window = AbbreviatedKey.Of(KeyAt(key), shared);
            }
        }
    }

    private bool TryFindNewest(ref Record record, out long address)
    {
        var isFound = index.TryFind(new Utf8Key(record.Key), out record, out var word) && (word & HashEntry.TombstoneBit) == 0;
        address = word & HashEntry.AddressMask;
        return isFound;
    }

    // By each byte of the windows in turn, the least first, each time keeping the order of the turn before.
    private void SortByRadix(Span<KeyHead> keys)
    {
        const int Values = 256;
        Span<int> counts = stackalloc int[Values * sizeof(ulong)];
        counts.Clear();
        foreach (ref readonly var key in keys)
        {
            var window = key.Window;
            for (var place = 0; place < sizeof(ulong); place++)
            {
                counts[(place * Values) + (byte)(window >> (place * 8))]++;
            }
        }

        for (var place = 0; place < sizeof(ulong); place++)
        {
            var starts = counts.Slice(place * Values, Values);
            if (starts[(byte)(keys[0].Window >> (place * 8))] == keys.Length)
            {
                // All have the same byte here.
                continue;
            }

            var start = 0;
            foreach (ref var count in starts)
            {
                (count, start) = (start, start + count);
            }

            var sorted = _scratch.AsSpan(0, keys.Length);
            foreach (ref readonly var key in keys)
            {
                sorted[starts[(byte)(key.Window >> (place * 8))]++] = key;
            }

            (_keys, _scratch) = (_scratch, _keys);
            keys = sorted;
        }
    }

    private void SortTies(Span<KeyHead> keys)
    {
        var kept = 0;
        for (var start = 0; start < keys.Length;)
        {
            var end = start + 1;
            while (end < keys.Length && keys[end].Window == keys[start].Window)
            {
                end++;
            }

            keys[kept++] = keys[start];
            if (end - start > 1)
            {
                var ties = keys[start..end];
                ties.Sort((x, y) => KeyAt(x).SequenceCompareTo(KeyAt(y)));
                keys[kept - 1] = ties[0];
                foreach (var tie in ties[1..])
                {
                    ref var last = ref keys[kept - 1];
                    if (!KeyAt(tie).SequenceEqual(KeyAt(last)))
                    {
                        keys[kept++] = tie;
                    }
                    else if (segments.RecordAt(tie.Address).Revision > segments.RecordAt(last.Address).Revision)
                    {
                        last = tie;
                    }
                }
            }

            start = end;
        }

        Count = kept;
    }

    private ReadOnlySpan<byte> KeyAt(in KeyHead key) => segments.RecordAt(key.Address).Key;
}
