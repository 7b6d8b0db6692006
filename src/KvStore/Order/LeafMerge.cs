using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Merges a sorted batch of keys into the leaves of the ordered index. Each leaf that gets keys is rewritten once, whatever their
/// number.
/// </summary>
/// <remarks>Call only while holding the ordered index's lock.</remarks>
internal sealed class LeafMerge(SegmentTable segments, Leaf[] leaves)
{
    // A leaf that is split while keys come in random order is left with space to grow.
    private const int SplitEntries = Leaf.Capacity * 3 / 4;

    private const int LeavesAhead = 3;
    private const int TiesAhead = 4;
    private const int TypicalKeyBytes = 24;

    private List<Leaf>? _rebuilt;
    private long[] _merged = [];
    private EntryRange[] _ranges = [];

    // The length of the batch's prefix. Merging into a leaf with a prefix of that length reads no record of the batch.
    private int _preferredPrefixBytes = int.MaxValue;

    /// <summary>The leaves after the merge: the array that was given, when no leaf was added.</summary>
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

        // In a dense batch nearly every leaf gets some keys, so the next leaf is known.
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

    /// <summary>Joins neighbours of a range that fit one leaf and leave space in it, and drops empty leaves.</summary>
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
                SetScaledKeys(previous);
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

    // The last leaf that begins at the key or before it; the first leaf, when none does. A galloping search from the leaf found before.
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
        batch.CompareAbbreviated(key, other) is var order and not 0 ? order : key.SequenceCompareTo(KeyAt(other.Address));

    // Prefetches the next leaf, and the first records of the leaves behind it, while this leaf is merged.
    private void Prefetch(int leafIndex)
    {
        if (leafIndex + 1 < leaves.Length)
        {
            leaves[leafIndex + 1].Prefetch();
        }

        if (leafIndex + LeavesAhead < leaves.Length)
        {
            var entry = leaves[leafIndex + LeavesAhead].All[0];
            HashIndex.Prefetch(segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), TypicalKeyBytes);
        }

        if (leafIndex + (LeavesAhead * 2) < leaves.Length)
        {
            leaves[leafIndex + (LeavesAhead * 2)].PrefetchFirst();
        }
    }

    // The entries of the leaf and the batch together, in order. A key that has an entry already keeps one entry, with the new address.
    private Span<long> MergeInto(Leaf leaf, SortedKeys batch, ReadOnlySpan<KeyHead> keys, out bool isAppend)
    {
        if (_merged.Length < leaf.Count + keys.Length)
        {
            AllocationProbe.Before();
            _merged = new long[Math.Max(leaf.Count + keys.Length, Leaf.Capacity * 2)];
        }

        if (_ranges.Length < keys.Length)
        {
            AllocationProbe.Before();
            _ranges = new EntryRange[Math.Max(keys.Length, Leaf.Capacity)];
        }

        NarrowPrefix(leaf, batch, keys);
        var entries = leaf.Used;
        var ranges = _ranges.AsSpan(0, keys.Length);
        FindRanges(leaf, batch, keys, ranges);
        var taken = 0;
        var count = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var found = ranges[i];
            var address = keys[i].Address;
            var position = found.Low == found.High
                ? found.Low
                : LowerBound(entries, Math.Max(found.Low, taken), found.High, KeyAt(address), out found.IsSame);
            entries[taken..position].CopyTo(_merged.AsSpan(count));
            count += position - taken;
            _merged[count++] = Leaf.EntryOf(found.ScaledKey, address & RecordAddress.Mask);
            taken = found.IsSame ? position + 1 : position;
        }

        entries[taken..].CopyTo(_merged.AsSpan(count));
        count += entries.Length - taken;

        // All new keys are behind the leaf's last one, as when keys are put in order.
        isAppend = (_merged[entries.Length - 1] & RecordAddress.Mask) == (entries[^1] & RecordAddress.Mask)
            && count == entries.Length + keys.Length;
        return _merged.AsSpan(0, count);
    }

    // Finds the entries whose scaled key equals that of each key. Prefetches the records of these entries, so that the cache misses of the
    // comparisons overlap.
    private void FindRanges(Leaf leaf, SortedKeys batch, ReadOnlySpan<KeyHead> keys, Span<EntryRange> ranges)
    {
        ReadOnlySpan<long> entries = leaf.Used;
        var low = 0;
        for (var i = 0; i < keys.Length; i++)
        {
            var scaledKey = batch.ScaledKeyIn(leaf, keys[i]);
            if (scaledKey < 0)
            {
                scaledKey = leaf.ScaledKeyOf(KeyAt(keys[i].Address));
            }

            if (i > 0 && ranges[i - 1].ScaledKey == scaledKey)
            {
                ranges[i] = ranges[i - 1];
                continue;
            }

            low = LowerBound(entries, low, scaledKey);
            var high = low;
            while (high < entries.Length && Leaf.ScaledKeyOf(entries[high]) == scaledKey)
            {
                if (high - low < TiesAhead)
                {
                    HashIndex.Prefetch(segments.ArrayOf(entries[high]), RecordAddress.OffsetOf(entries[high]), TypicalKeyBytes);
                }

                high++;
            }

            ranges[i] = new EntryRange { Low = low, High = high, ScaledKey = scaledKey };
        }
    }

    // The first entry, from an index on, whose scaled key is not lower. A binary search without a branch that could be mispredicted.
    private static int LowerBound(ReadOnlySpan<long> entries, int low, int scaledKey)
    {
        var length = entries.Length - low;
        while (length > 1)
        {
            var half = length >>> 1;
            low += Leaf.ScaledKeyOf(entries[low + half - 1]) < scaledKey ? half : 0;
            length -= half;
        }

        return length == 1 && Leaf.ScaledKeyOf(entries[low]) < scaledKey ? low + 1 : low;
    }

    // The first of these entries, which have one scaled key, that is not before the key.
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
                leaf.All[i] = keys[i].Address & RecordAddress.Mask;
            }

            SetScaledKeys(leaf);
            _rebuilt!.Add(leaf);
            keys = keys[leaf.Count..];
        }
    }

    // Writes entries over as many leaves as they need. The first leaf exists, and their scaled keys are relative to it.
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
            if (leaf.AreScaledKeysTooCoarse)
            {
                SetScaledKeys(leaf);
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

    // Keys outside the leaf may have only a part of its prefix. Mostly the batch has that prefix, or more of it.
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
                SetScaledKeys(leaf, shared, last.SequenceCompareTo(lastKey) < 0 ? lastKey : last);
            }
        }
    }

    private void SetScaledKeys(Leaf leaf)
    {
        var last = KeyAt(leaf.Used[^1]);
        SetScaledKeys(leaf, KeyAt(leaf.All[0]).CommonPrefixLength(last), last);
    }

    private void SetScaledKeys(Leaf leaf, int sharedBytes, ReadOnlySpan<byte> last)
    {
        leaf.SetRange(KeyAt(leaf.All[0]), last, sharedBytes, Math.Min(sharedBytes, _preferredPrefixBytes));
        foreach (ref var entry in leaf.Used)
        {
            HashIndex.Prefetch(segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), leaf.PrefixBytes + AbbreviatedKey.BytesMax);
        }

        foreach (ref var entry in leaf.Used)
        {
            var address = entry & RecordAddress.Mask;
            entry = Leaf.EntryOf(leaf.ScaledKeyOf(KeyAt(address)), address);
        }
    }

    private ReadOnlySpan<byte> KeyAt(long entry) => segments.RecordAt(entry).Key;
}
