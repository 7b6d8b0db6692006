using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Collects the addresses of new keys and sorts them by key, once each. The sort compares abbreviated keys
/// (<see cref="AbbreviatedKey"/>); only ties read the records again.
/// </summary>
/// <remarks>Call only while holding the ordered index's lock. The buffers are kept for the next batch until <see cref="Trim"/>.</remarks>
/// <param name="segments">The segments.</param>
/// <param name="index">The hash index.</param>
/// <param name="batchKeysMax">About the most keys of a batch.</param>
internal sealed class KeyBatch(SegmentTable segments, HashIndex index, int batchKeysMax)
{
    private const int TypicalKeyBytes = 24;
    private const int PrefetchAhead = 16;

    // Fewer than this are sorted by comparing: radix sort begins with counting 256 values of each byte.
    private const int RadixKeysMin = 256;

    // Enough for the usual batch. A larger one, as after a recovery, frees its buffers at once.
    private const int KeptKeys = 64 * 1024;

    private KeyHead[] _keys = [];
    private KeyHead[] _scratch = [];

    // The prefix of all keys of the batch before, which the next batch most likely has too.
    private byte[] _prefix = [];

    /// <summary>The number of addresses; after <see cref="Sort"/>, the number of keys.</summary>
    public int Count { get; private set; }

    /// <summary>The bytes of the buffers.</summary>
    public long Bytes => (_keys.Length + (long)_scratch.Length) * Unsafe.SizeOf<KeyHead>();

    /// <summary>The keys in order. Valid until the next call.</summary>
    public SortedKeys Sorted => new(_keys.AsSpan(0, Count), _prefix);

    /// <summary>Adds addresses of records. Requires: their segments cannot be dropped meanwhile.</summary>
    public void Add(ReadOnlySpan<long> addresses)
    {
        Reserve(addresses.Length);
        foreach (var address in addresses)
        {
            _keys[Count++].Address = address;
        }
    }

    /// <summary>Adds one address. Requires: <see cref="Reserve"/> was called for it.</summary>
    public void Add(long address)
    {
        Debug.Assert(Count < _keys.Length, "Reserve comes first.");
        _keys[Count++].Address = address;
    }

    /// <summary>Takes the memory for so many more addresses.</summary>
    public void Reserve(int addresses)
    {
        if (_keys.Length < Count + addresses)
        {
            AllocationProbe.Before();
            Array.Resize(ref _keys, Math.Max(Count + addresses, _keys.Length * 2));
        }
    }

    /// <summary>Forgets everything, and frees the buffers.</summary>
    public void Drop()
    {
        Count = 0;
        Trim();
    }

    /// <summary>Sorts by key, drops keys that are gone, and of several records of a key all but the newest.</summary>
    public void Sort()
    {
        // Before anything moves: a batch that is not sorted because memory is short is complete the next time.
        if (_scratch.Length < Count && Count >= RadixKeysMin)
        {
            AllocationProbe.Before();
            _scratch = new KeyHead[_keys.Length];
        }

        ReadKeys();
        var keys = _keys.AsSpan(0, Count);
        if (keys.Length < RadixKeysMin)
        {
            keys.Sort(static (x, y) => x.Abbreviated.CompareTo(y.Abbreviated));
        }
        else
        {
            SortByRadix(keys);
            keys = _keys.AsSpan(0, Count);
        }

        SortTies(keys);
    }

    /// <summary>Forgets the keys, which are in the leaves now.</summary>
    public void Clear()
    {
        Count = 0;
        if (_keys.Length > Math.Min(KeptKeys, batchKeysMax))
        {
            Trim();
        }
    }

    /// <summary>Frees the buffers, unless the batch has keys.</summary>
    public void Trim()
    {
        if (Count == 0)
        {
            _keys = [];
            _scratch = [];
        }
    }

    // The first loop that touches the records. A key that was put and deleted before the merge needs no entry, and is dropped.
    private void ReadKeys()
    {
        var keys = _keys.AsSpan(0, Count);
        var first = default(ReadOnlySpan<byte>);
        var shared = 0;
        var isPrefixed = false;
        var kept = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var ahead = keys[Math.Min(i + PrefetchAhead, keys.Length - 1)].Address;
            HashIndex.Prefetch(segments.ArrayOf(ahead), RecordAddress.OffsetOf(ahead), TypicalKeyBytes);
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
            head.Abbreviated = isPrefixed && shared >= _prefix.Length ? AbbreviatedKey.Of(key, _prefix.Length) : 0;
        }

        Count = kept;
        if (!isPrefixed || shared != _prefix.Length)
        {
            // The keys of this batch have another prefix: once more with theirs. The records are in the processor's cache now.
            AllocationProbe.Before();
            _prefix = first[..shared].ToArray();
            foreach (ref var key in keys[..kept])
            {
                key.Abbreviated = AbbreviatedKey.Of(KeyAt(key), shared);
            }
        }
    }

    private bool TryFindNewest(ref Record record, out long address)
    {
        var isFound = index.TryFind(new Utf8Key(record.Key), out record, out var indexEntry) && (indexEntry & HashEntry.TombstoneBit) == 0;
        address = indexEntry & RecordAddress.Mask;
        return isFound;
    }

    // By each byte of the abbreviated keys, the least significant first; each pass keeps the order of the pass before.
    private void SortByRadix(Span<KeyHead> keys)
    {
        const int Values = 256;
        Span<int> counts = stackalloc int[Values * sizeof(ulong)];
        counts.Clear();
        foreach (ref readonly var key in keys)
        {
            var abbreviated = key.Abbreviated;
            for (var digit = 0; digit < sizeof(ulong); digit++)
            {
                counts[(digit * Values) + (byte)(abbreviated >> (digit * 8))]++;
            }
        }

        for (var digit = 0; digit < sizeof(ulong); digit++)
        {
            var starts = counts.Slice(digit * Values, Values);
            if (starts[(byte)(keys[0].Abbreviated >> (digit * 8))] == keys.Length)
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
                sorted[starts[(byte)(key.Abbreviated >> (digit * 8))]++] = key;
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
            while (end < keys.Length && keys[end].Abbreviated == keys[start].Abbreviated)
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
