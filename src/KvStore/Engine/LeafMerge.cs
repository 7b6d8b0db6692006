namespace KvStore.Engine;

/// <summary>
/// Brings a sorted batch of keys into the leaves of the ordered index. Each leaf that the batch concerns is rewritten once,
/// whatever number of keys it takes.
/// </summary>
/// <remarks>For the holder of the ordered index's gate.</remarks>
internal sealed class LeafMerge(SegmentTable segments, Leaf[] leaves)
{
    // A leaf that is split under random keys is left with room to grow.
    private const int SplitEntries = Leaf.Capacity * 3 / 4;

    private List<Leaf>? _rebuilt;
    private long[] _merged = new long[Leaf.Capacity * 2];

    /// <summary>The leaves after the merge: the same array, where none was added.</summary>
    public Leaf[] Leaves => _rebuilt?.ToArray() ?? leaves;

    /// <summary>How many keys had no entry before.</summary>
    public int AddedCount { get; private set; }

    /// <summary>Merges addresses in the order of their keys, each key once.</summary>
    public void Add(ReadOnlySpan<long> batch)
    {
        if (leaves.Length == 0)
        {
            _rebuilt = [];
            Spread(new Leaf(), batch, isAppend: true);
            AddedCount += batch.Length;
            return;
        }

        var leafIndex = 0;
        var copied = 0;
        while (!batch.IsEmpty)
        {
            leafIndex = LeafFor(KeyAt(batch[0]), leafIndex);
            var isLast = leafIndex == leaves.Length - 1;
            var length = isLast ? batch.Length : CountBefore(batch, KeyAt(leaves[leafIndex + 1].All[0]));
            var merged = MergeInto(leaves[leafIndex], batch[..length], out var isAppend);
            AddedCount += merged.Length - leaves[leafIndex].Count;
            if (merged.Length > Leaf.Capacity)
            {
                _rebuilt ??= new List<Leaf>(leaves.Length + (batch.Length / SplitEntries) + 1);
                _rebuilt.AddRange(leaves.AsSpan(copied, leafIndex - copied));
                Spread(leaves[leafIndex], merged, isLast && isAppend);
                copied = leafIndex + 1;
            }
            else
            {
                var leaf = leaves[leafIndex];
                merged.CopyTo(leaf.All);
                leaf.Count = merged.Length;
            }

            batch = batch[length..];
        }

        _rebuilt?.AddRange(leaves.AsSpan(copied));
    }

    /// <summary>Joins neighbours of a range that fit one leaf with room to spare, and drops empty ones.</summary>
    /// <returns>Where the range ends afterwards.</returns>
    public int Join(int start, int end)
    {
        _rebuilt = [.. leaves.AsSpan(0, start)];
        for (var i = start; i < end; i++)
        {
            var leaf = leaves[i];
            if (leaf.Count == 0)
            {
                continue;
            }

            var previous = _rebuilt.Count > start ? _rebuilt[^1] : null;
            if (previous is not null && previous.Count + leaf.Count <= SplitEntries)
            {
                leaf.Used.CopyTo(previous.All[previous.Count..]);
                previous.Count += leaf.Count;
                SetFragments(previous);
            }
            else
            {
                _rebuilt.Add(leaf);
            }
        }

        var newEnd = _rebuilt.Count;
        _rebuilt.AddRange(leaves.AsSpan(end));
        if (newEnd == end)
        {
            // Nothing was joined: the array stays.
            _rebuilt = null;
        }

        return newEnd;
    }

    // The last leaf that begins at the key or before it; the first one, if none does. Gallops from where the last was found.
    private int LeafFor(ReadOnlySpan<byte> key, int from)
    {
        var low = from + 1;
        var step = 1;
        var high = low;
        while (high < leaves.Length && KeyAt(leaves[high].All[0]).SequenceCompareTo(key) <= 0)
        {
            low = high + 1;
            high += step;
            step *= 2;
        }

        high = Math.Min(high, leaves.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (KeyAt(leaves[middle].All[0]).SequenceCompareTo(key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low - 1;
    }

    private int CountBefore(ReadOnlySpan<long> batch, ReadOnlySpan<byte> key)
    {
        var count = 1;
        while (count < batch.Length && KeyAt(batch[count]).SequenceCompareTo(key) < 0)
        {
            count++;
        }

        return count;
    }

    // The entries of the leaf and the batch together, in order; a key that has an entry keeps one, with the new address.
    private Span<long> MergeInto(Leaf leaf, ReadOnlySpan<long> batch, out bool isAppend)
    {
        if (_merged.Length < leaf.Count + batch.Length)
        {
            _merged = new long[leaf.Count + batch.Length];
        }

        NarrowPrefix(leaf, KeyAt(batch[0]), KeyAt(batch[^1]));
        var entries = leaf.Used;
        var taken = 0;
        var count = 0;
        foreach (var address in batch)
        {
            var key = KeyAt(address);
            var fragment = Leaf.FragmentOf(key, leaf.PrefixBytes);
            var position = LowerBound(entries, taken, fragment, key, out var isSame);
            entries[taken..position].CopyTo(_merged.AsSpan(count));
            count += position - taken;
            _merged[count++] = Leaf.EntryOf(fragment, address & IndexWord.AddressMask);
            taken = isSame ? position + 1 : position;
        }

        entries[taken..].CopyTo(_merged.AsSpan(count));
        count += entries.Length - taken;

        // All of them came behind the leaf's last: keys that are put in order.
        isAppend = (_merged[entries.Length - 1] & IndexWord.AddressMask) == (entries[^1] & IndexWord.AddressMask)
            && count == entries.Length + batch.Length;
        return _merged.AsSpan(0, count);
    }

    private int LowerBound(ReadOnlySpan<long> entries, int low, int fragment, ReadOnlySpan<byte> key, out bool isSame)
    {
        var high = entries.Length;
        isSame = false;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var order = Leaf.FragmentOf(entries[middle]) - fragment;
            if (order == 0)
            {
                order = KeyAt(entries[middle]).SequenceCompareTo(key);
                if (order == 0)
                {
                    isSame = true;
                    return middle;
                }
            }

            if (order < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    // Writes entries over as many leaves as they need, the first of which exists.
    private void Spread(Leaf first, ReadOnlySpan<long> entries, bool isAppend)
    {
        // Keys that come in order fill their leaves, since nothing will come between them.
        var perLeaf = isAppend ? Leaf.Capacity : SplitEntries;
        var leafCount = (entries.Length + perLeaf - 1) / perLeaf;
        if (!isAppend)
        {
            perLeaf = (entries.Length + leafCount - 1) / leafCount;
        }

        var leaf = first;
        while (!entries.IsEmpty)
        {
            var part = entries[..Math.Min(perLeaf, entries.Length)];
            part.CopyTo(leaf.All);
            leaf.Count = part.Length;
            SetFragments(leaf);
            _rebuilt!.Add(leaf);
            entries = entries[part.Length..];
            leaf = new Leaf();
        }
    }

    // Keys outside the leaf may share less of its prefix.
    private void NarrowPrefix(Leaf leaf, ReadOnlySpan<byte> firstKey, ReadOnlySpan<byte> lastKey)
    {
        var leafKey = KeyAt(leaf.All[0]);
        var shared = Math.Min(leafKey.CommonPrefixLength(firstKey), leafKey.CommonPrefixLength(lastKey));
        if (shared < leaf.PrefixBytes)
        {
            SetFragments(leaf, shared);
        }
    }

    private void SetFragments(Leaf leaf)
    {
        var prefixBytes = KeyAt(leaf.All[0]).CommonPrefixLength(KeyAt(leaf.Used[^1]));
        SetFragments(leaf, prefixBytes);
    }

    private void SetFragments(Leaf leaf, int prefixBytes)
    {
        leaf.PrefixBytes = prefixBytes;
        foreach (ref var entry in leaf.Used)
        {
            HashIndex.Prefetch(segments.ArrayOf(entry), IndexWord.OffsetOf(entry));
        }

        foreach (ref var entry in leaf.Used)
        {
            var address = entry & IndexWord.AddressMask;
            entry = Leaf.EntryOf(Leaf.FragmentOf(KeyAt(address), prefixBytes), address);
        }
    }

    private ReadOnlySpan<byte> KeyAt(long entry) => segments.RecordAt(entry).Key;
}
