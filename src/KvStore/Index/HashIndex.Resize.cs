using KvStore.Diagnostics;
using KvStore.Keys;

namespace KvStore.Index;

/// <content>How a table is replaced by one of another size.</content>
internal sealed partial class HashIndex
{
    private const int BatchWords = 32;

    private static readonly long[] s_closedTable = NewClosedTable();

    /// <summary>Moves a shard's words to a table of another size, without the marks of removed ones. Holding the shard's lock.</summary>
    public void ResizeHoldingLock(int shard, int wordCount)
    {
        var old = WordsOf(shard);
        var table = NewTable(wordCount);
        var words = WordsOf(table);
        var areTold = HomeBucket.AreTold(old.Length, wordCount);
        Span<long> unknown = stackalloc long[BatchWords];
        var count = 0;
        for (var slot = 0; slot < old.Length; slot++)
        {
            var word = old[slot];
            if (word >= 0)
            {
                continue;
            }

            if (areTold && !HomeBucket.HasStrayed(word))
            {
                Place(word, HomeBucket.HashOf(word, slot, old.Length), words);
                continue;
            }

            // To be worked out again from the key: a batch at a time, so that the misses overlap.
            Prefetch(_segments.ArrayOf(word), HashEntry.OffsetOf(word), TypicalKeyBytes);
            unknown[count++] = word;
            if (count == unknown.Length)
            {
                PlaceByKeys(unknown, words);
                count = 0;
            }
        }

        PlaceByKeys(unknown[..count], words);
        Replace(shard, table);
    }

    /// <summary>
    /// Replaces a shard's table by one that says that it was replaced: so a reader neither finds a key there nor that there is none, and
    /// asks whether this is closed. Holding the shard's lock.
    /// </summary>
    public void CloseHoldingLock(int shard)
    {
        _isClosed = true;
        Replace(shard, s_closedTable);
    }

    /// <summary>How often the table of a shard was replaced. Holding the shard's lock.</summary>
    public int NumberOfTable(int shard) => _tableNumbers[shard];

    private static long[] NewClosedTable()
    {
        var table = NewTable(WordsMin);
        table.AsSpan().Fill(HashEntry.Moved);
        return table;
    }

    private static long[] NewTable(int wordCount)
    {
        // Written before it is read: a page of fresh memory that is read first is mapped twice, and the second time every
        // processor that runs the process is interrupted.
        AllocationProbe.Before();
        var table = GC.AllocateUninitializedArray<long>(wordCount + Padding, pinned: true);
        table.AsSpan().Clear();
        return table;
    }

    private void PlaceByKeys(ReadOnlySpan<long> from, Span<long> words)
    {
        foreach (var word in from)
        {
            Place(word, KeyHash.OfUtf8(_segments.RecordAt(word).Key), words);
        }
    }

    private static void Place(long word, ulong hash, Span<long> words)
    {
        var slot = HomeBucket.HomeOf(hash, words.Length);
        while (words[slot] != HashEntry.Empty)
        {
            slot = (slot + 1) & (words.Length - 1);
        }

        words[slot] = (word & ~HomeBucket.Mask) | HomeBucket.Of(hash, slot, words.Length);
    }

    private void Replace(int shard, long[] table)
    {
        var old = WordsOf(shard);
        _slots[shard].Set(table);
        _tableNumbers[shard]++;
        foreach (ref var word in old)
        {
            Volatile.Write(ref word, HashEntry.Moved);
        }
    }
}
