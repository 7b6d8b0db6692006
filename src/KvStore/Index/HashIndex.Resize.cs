using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Segments;

namespace KvStore.Index;

/// <content>How a table is replaced by one of another size.</content>
internal sealed partial class HashIndex
{
    private const int BatchEntries = 32;

    private static readonly long[] s_closedTable = NewClosedTable();

    /// <summary>Moves a shard's entries to a table of another size, without those of removed keys. Call only while holding the shard's lock.</summary>
    public void ResizeHoldingLock(int shard, int entryCount)
    {
        AssertHoldsLock(shard);
        var old = EntriesOf(shard);
        var table = NewTable(entryCount);
        var entries = EntriesOf(table);
        var canRehash = HomeBucket.CanRehash(old.Length, entryCount);
        Span<long> unknown = stackalloc long[BatchEntries];
        var count = 0;
        for (var slot = 0; slot < old.Length; slot++)
        {
            var entry = old[slot];
            if (entry >= 0)
            {
                continue;
            }

            if (canRehash && !HomeBucket.IsDisplaced(entry))
            {
                Place(entry, HomeBucket.HashOf(entry, slot, old.Length), entries);
                continue;
            }

            // Rehashed by the key: a batch at a time, so that the cache misses overlap.
            Prefetch(_segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), TypicalKeyBytes);
            unknown[count++] = entry;
            if (count == unknown.Length)
            {
                PlaceByKeys(unknown, entries);
                count = 0;
            }
        }

        PlaceByKeys(unknown[..count], entries);
        Replace(shard, table);
    }

    /// <summary>
    /// Replaces a shard's table by one of moved markers: a reader finds neither a key nor the absence of one there, and checks whether
    /// the index is closed. Call only while holding the shard's lock.
    /// </summary>
    public void CloseHoldingLock(int shard)
    {
        AssertHoldsLock(shard);
        _isClosed = true;
        Replace(shard, s_closedTable);
    }

    /// <summary>How often the table of a shard was replaced. Call only while holding the shard's lock.</summary>
    public int NumberOfTable(int shard) => _tableNumbers[shard];

    private static long[] NewClosedTable()
    {
        var table = NewTable(EntriesMin);
        table.AsSpan().Fill(HashEntry.Moved);
        return table;
    }

    private static long[] NewTable(int entryCount)
    {
        // Written before it is read: a 4 KiB page of fresh memory that is read first is mapped twice, and the second mapping
        // interrupts every processor that runs the process.
        AllocationProbe.Before();
        var table = GC.AllocateUninitializedArray<long>(entryCount + Padding, pinned: true);
        table.AsSpan().Clear();
        return table;
    }

    private void PlaceByKeys(ReadOnlySpan<long> from, Span<long> entries)
    {
        foreach (var entry in from)
        {
            Place(entry, KeyHash.OfUtf8(_segments.RecordAt(entry).Key), entries);
        }
    }

    private static void Place(long entry, ulong hash, Span<long> entries)
    {
        var slot = HomeBucket.HomeOf(hash, entries.Length);
        while (entries[slot] != HashEntry.Empty)
        {
            slot = (slot + 1) & (entries.Length - 1);
        }

        entries[slot] = (entry & ~HomeBucket.Mask) | HomeBucket.Of(hash, slot, entries.Length);
    }

    private void Replace(int shard, long[] table)
    {
        var old = EntriesOf(shard);
        _slots[shard].Set(table);
        _tableNumbers[shard]++;
        foreach (ref var entry in old)
        {
            Volatile.Write(ref entry, HashEntry.Moved);
        }
    }
}
