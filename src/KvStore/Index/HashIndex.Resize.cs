using System.Diagnostics;
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
        Replace(shard, CopyOf(shard, entryCount));
    }

    /// <summary>
    /// Begins a table that will take the place of a shard's table: writers change it from now on, and readers go on with the old one
    /// until <see cref="ShowHoldingLock"/>. Call only while holding the shard's lock, and hold it until the successor is shown or abandoned.
    /// </summary>
    public void BeginSuccessorHoldingLock(int shard, int entryCount)
    {
        AssertHoldsLock(shard);
        Debug.Assert(!HasSuccessor(shard), "A table has one successor at a time.");
        _written[shard] = CopyOf(shard, entryCount);
        _tableNumbers[shard]++;
    }

    /// <summary>Forgets the successor of a shard's table. Call only while holding the shard's lock.</summary>
    public void AbandonSuccessorHoldingLock(int shard)
    {
        AssertHoldsLock(shard);
        _written[shard] = _slots[shard].Table;
        _tableNumbers[shard]++;
    }

    /// <summary>
    /// Makes every entry of a table that has a successor a moved marker: from then on readers of the shard wait for
    /// <see cref="ShowHoldingLock"/>. When the tables of several shards are hidden before the successor of any is shown, readers see either all of the old
    /// tables or all of the new ones. Call only while holding the shard's lock.
    /// </summary>
    public void HideHoldingLock(int shard)
    {
        AssertHoldsLock(shard);
        Debug.Assert(HasSuccessor(shard), "Readers would wait for ever.");
        MarkMoved(_slots[shard].Table);
    }

    /// <summary>Shows the successor of a hidden table to readers. Call only while holding the shard's lock.</summary>
    public void ShowHoldingLock(int shard)
    {
        AssertHoldsLock(shard);
        _slots[shard].Set(_written[shard]);
    }

    // A table of another size with the entries of the shard's, without those of removed keys.
    private long[] CopyOf(int shard, int entryCount)
    {
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
        return table;
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

    private bool HasSuccessor(int shard) => !ReferenceEquals(_written[shard], _slots[shard].Table);

    private void Replace(int shard, long[] table)
    {
        var old = _written[shard];
        var isSeen = !HasSuccessor(shard);
        _written[shard] = table;
        _tableNumbers[shard]++;
        if (isSeen)
        {
            _slots[shard].Set(table);
            MarkMoved(old);
        }
    }

    private static void MarkMoved(long[] table)
    {
        foreach (ref var entry in EntriesOf(table))
        {
            Volatile.Write(ref entry, HashEntry.Moved);
        }
    }
}
