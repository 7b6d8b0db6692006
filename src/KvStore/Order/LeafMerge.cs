using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Brings a sorted batch of keys into the leaves of the ordered index. Each leaf that the batch concerns is rewritten once,
/// whatever number of keys it takes.
/// </summary>
/// <remarks>For the holder of the ordered index's gate.</remarks>
internal sealed class LeafMerge(SegmentTable segments, Leaf[] leaves)
{
    // A leaf that is split under random keys is left with room to grow.
    private const int SplitEntries = Leaf.Capacity * 3 / 4;

    private const int LeavesAhead = 3;
    private const int TiesAhead = 4;
    private const int TypicalKeyBytes = 24;

    private List<Leaf>? _rebuilt;
    private long[] _merged = [];
    private Place[] _places = [];

    // Where the windows of the batch begin: a leaf whose own begins there needs to look at no record of the batch.
    private int _preferredPrefixBytes = int.MaxValue;

    /// <summary>The leaves after the merge: the same array, where none was added.</summary>
    public Leaf[] Leaves => _rebuilt?.ToArray() ?? leaves;

    /// <summary>How many keys had no entry before.</summary>
    public int AddedCount { get; private set; }

    /// <summary>Merges keys in order, each key once.</summary>
    public void Add(SortedKeys batch)
    {
        var keys = batch.Keys;
        _preferredPrefixBytes = batch.Prefix.Length;
        if (leaves.Length == 0)
        {
            _rebuilt = [];
            SpreadFirst(batch);
            AddedCount += keys.Length;
            return;
        }

        // Then nearly every leaf gets some keys, and the next one is known.
        var isDense = keys.Length >= leaves.Length * 2;
        var leafIndex = 0;
        var copied = 0;
        while (!keys.IsEmpty)
        {
            leafIndex = LeafFor(batch, keys[0], leafIndex);
            if (isDense)
            {
                Prefetch(leafIndex);
            }

            var leaf = leaves[leafIndex];
            var isLast = leafIndex == leaves.Length - 1;
            var length = isLast ? keys.Length : CountBefore(batch, keys, KeyAt(leaves[leafIndex + 1].All[0]));
            var merged = MergeInto(leaf, batch, keys[..length], out var isAppend);
            AddedCount += merged.Length - leaf.Count;
            if (merged.Length > Leaf.Capacity)
            {
                AllocationProbe.Before();
                _rebuilt ??= new List<Leaf>(leaves.Length + (keys.Length / SplitEntries) + 1);
                _rebuilt.AddRange(leaves.AsSpan(copied, leafIndex - copied));
                Spread(leaf, merged, isLast && isAppend);
                copied = leafIndex + 1;
            }
            else
            {
                merged.CopyTo(leaf.All);
                leaf.Count = merged.Length;
            }

            keys = keys[length..];
        }

        _rebuilt?.AddRange(leaves.AsSpan(copied));
    }

    /// <summary>Joins neighbours of a range that fit one leaf with room to spare, and drops empty ones.</summary>
    /// <returns>Where the range ends afterwards.</returns>
    public int Join(int start, int end)
    {
        AllocationProbe.Before();
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
    private int LeafFor(SortedKeys batch, in KeyHead key, int from)
    {
        var low = from + 1;
        var step = 1;
        var high = low;
        while (high < leaves.Length && Compare(batch, KeyAt(leaves[high].All[0]), key) <= 0)
        {
            low = high + 1;
            high += step;
            step *= 2;
        }

        high = Math.Min(high, leaves.Length);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (Compare(batch, KeyAt(leaves[middle].All[0]), key) <= 0)
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

    private int CountBefore(SortedKeys batch, ReadOnlySpan<KeyHead> keys, ReadOnlySpan<byte> end)
    {
        var count = 1;
        while (count < keys.Length && Compare(batch, end, keys[count]) > 0)
        {
            count++;
        }

        return count;
    }

    private int Compare(SortedKeys batch, ReadOnlySpan<byte> key, in KeyHead other) =>
        batch.CompareByWindow(key, other) is var order and not 0 ? order : key.SequenceCompareTo(KeyAt(other.Address));

    // The next leaf, and the records with which the ones behind it begin, are asked for while this one is merged.
    private void Prefetch(int leafIndex)
    {
        if (leafIndex + 1 < leaves.Length)
        {
            leaves[leafIndex + 1].Prefetch();
        }

        if (leafIndex + LeavesAhead < leaves.Length)
        {
            var entry = leaves[leafIndex + LeavesAhead].All[0];
            HashIndex.Prefetch(segments.ArrayOf(entry), HashEntry.OffsetOf(entry), TypicalKeyBytes);
        }

        if (leafIndex + (LeavesAhead * 2) < leaves.Length)
        {
            leaves[leafIndex + (LeavesAhead * 2)].PrefetchFirst();
        }
    }

    // The entries of the leaf and the batch together, in order; a key that has an entry keeps one, with the new address.
    private Span<long> MergeInto(Leaf leaf, SortedKeys batch, ReadOnlySpan<KeyHead> keys, out bool isAppend)
    {
        if (_merged.Length < leaf.Count + keys.Length)
        {
            AllocationProbe.Before();
            _merged = new long[Math.Max(leaf.Count + keys.Length, Leaf.Capacity * 2)];
        }

        if (_places.Length < keys.Length)
        {
            AllocationProbe.Before();
            _places = new Place[Math.Max(keys.Length, Leaf.Capacity)];
        }

        NarrowPrefix(leaf, batch, keys);
        var entries = leaf.Used;
        var places = _places.AsSpan(0, keys.Length);
        FindPlaces(leaf, batch, keys, places);
        var taken = 0;
        var count = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var place = places[i];
            var address = keys[i].Address;
            var position = place.Low == place.High
                ? place.Low
                : LowerBound(entries, Math.Max(place.Low, taken), place.High, KeyAt(address), out place.IsSame);
            entries[taken..position].CopyTo(_merged.AsSpan(count));
            count += position - taken;
            _merged[count++] = Leaf.EntryOf(place.Fragment, address & HashEntry.AddressMask);
            taken = place.IsSame ? position + 1 : position;
        }

        entries[taken..].CopyTo(_merged.AsSpan(count));
        count += entries.Length - taken;

        // All of them came behind the leaf's last: keys that are put in order.
        isAppend = (_merged[entries.Length - 1] & HashEntry.AddressMask) == (entries[^1] & HashEntry.AddressMask)
            && count == entries.Length + keys.Length;
        return _merged.AsSpan(0, count);
    }

    // Between which entries each key goes, by the fragments alone. The records of those that have the same one are asked for,
    // so that telling them apart need not wait for one after the other.
    private void FindPlaces(Leaf leaf, SortedKeys batch, ReadOnlySpan<KeyHead> keys, Span<Place> places)
    {
        ReadOnlySpan<long> entries = leaf.Used;
        var low = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var fragment = batch.FragmentIn(leaf, keys[i]);
            if (fragment < 0)
            {
                fragment = leaf.FragmentOf(KeyAt(keys[i].Address));
            }

            if (i > 0 && places[i - 1].Fragment == fragment)
            {
                places[i] = places[i - 1];
                continue;
            }

            low = LowerBound(entries, low, fragment);
            var high = low;
            while (high < entries.Length && Leaf.FragmentOf(entries[high]) == fragment)
            {
                if (high - low < TiesAhead)
                {
                    HashIndex.Prefetch(segments.ArrayOf(entries[high]), HashEntry.OffsetOf(entries[high]), TypicalKeyBytes);
                }

                high++;
            }

            places[i] = new Place { Low = low, High = high, Fragment = fragment };
        }
    }

    // The first entry from a place on whose fragment is not lower. Half of what is left goes in each step, without a branch
    // that could be guessed wrongly.
    private static int LowerBound(ReadOnlySpan<long> entries, int low, int fragment)
    {
        var length = entries.Length - low;
        while (length > 1)
        {
            var half = length >>> 1;
            low += Leaf.FragmentOf(entries[low + half - 1]) < fragment ? half : 0;
            length -= half;
        }

        return length == 1 && Leaf.FragmentOf(entries[low]) < fragment ? low + 1 : low;
    }

    // Among entries of one fragment.
    private int LowerBound(ReadOnlySpan<long> entries, int low, int high, ReadOnlySpan<byte> key, out bool isSame)
    {
        isSame = false;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            var order = KeyAt(entries[middle]).SequenceCompareTo(key);
            if (order == 0)
            {
                isSame = true;
                return middle;
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

    // The first keys of all, in order.
    private void SpreadFirst(SortedKeys batch)
    {
        var keys = batch.Keys;
        while (!keys.IsEmpty)
        {
            AllocationProbe.Before();
            var leaf = new Leaf { Count = Math.Min(keys.Length, Leaf.Capacity) };
            for (var i = 0; i < leaf.Count; i++)
            {
                leaf.All[i] = keys[i].Address & HashEntry.AddressMask;
            }

            SetFragments(leaf);
            _rebuilt!.Add(leaf);
            keys = keys[leaf.Count..];
        }
    }

    // Writes entries over as many leaves as they need, the first of which exists and is where their fragments come from.
    private void Spread(Leaf first, ReadOnlySpan<long> entries, bool isAppend)
    {
        // Keys that come in order fill their leaves, since nothing will come between them.
        var perLeaf = isAppend ? Leaf.Capacity : SplitEntries;
        var leafCount = (entries.Length + perLeaf - 1) / perLeaf;
        if (!isAppend)
        {
            perLeaf = (entries.Length + leafCount - 1) / leafCount;
        }

        var (prefixBytes, shift, low) = (first.PrefixBytes, first.Shift, first.Low);
        var leaf = first;
        while (true)
        {
            var part = entries[..Math.Min(perLeaf, entries.Length)];
            part.CopyTo(leaf.All);
            leaf.Count = part.Length;
            if (leaf.IsBlurred)
            {
                SetFragments(leaf);
            }

            _rebuilt!.Add(leaf);
            entries = entries[part.Length..];
            if (entries.IsEmpty)
            {
                return;
            }

            AllocationProbe.Before();
            leaf = new Leaf { PrefixBytes = prefixBytes, Shift = shift, Low = low };
        }
    }

    // Keys outside the leaf may share less of its prefix. Mostly it is what all keys of the batch begin with, or less.
    private void NarrowPrefix(Leaf leaf, SortedKeys batch, ReadOnlySpan<KeyHead> keys)
    {
        var first = KeyAt(leaf.All[0]);
        if (leaf.PrefixBytes > first.CommonPrefixLength(batch.Prefix))
        {
            var lastKey = KeyAt(keys[^1].Address);
            var shared = Math.Min(first.CommonPrefixLength(KeyAt(keys[0].Address)), first.CommonPrefixLength(lastKey));
            if (shared < leaf.PrefixBytes)
            {
                var last = KeyAt(leaf.Used[^1]);
                SetFragments(leaf, shared, last.SequenceCompareTo(lastKey) < 0 ? lastKey : last);
            }
        }
    }

    private void SetFragments(Leaf leaf)
    {
        var last = KeyAt(leaf.Used[^1]);
        SetFragments(leaf, KeyAt(leaf.All[0]).CommonPrefixLength(last), last);
    }

    private void SetFragments(Leaf leaf, int sharedBytes, ReadOnlySpan<byte> last)
    {
        leaf.SetWindow(KeyAt(leaf.All[0]), last, sharedBytes, Math.Min(sharedBytes, _preferredPrefixBytes));
        foreach (ref var entry in leaf.Used)
        {
            HashIndex.Prefetch(segments.ArrayOf(entry), HashEntry.OffsetOf(entry), leaf.PrefixBytes + AbbreviatedKey.BytesMax);
        }

        foreach (ref var entry in leaf.Used)
        {
            var address = entry & HashEntry.AddressMask;
            entry = Leaf.EntryOf(leaf.FragmentOf(KeyAt(address)), address);
        }
    }

    private ReadOnlySpan<byte> KeyAt(long entry) => segments.RecordAt(entry).Key;

    /// <summary>Between which entries a key goes.</summary>
    private struct Place
    {
        public int Low;
        public int High;
        public int Fragment;
        public bool IsSame;
    }
}
