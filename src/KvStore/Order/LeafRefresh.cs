using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Points the entries of a leaf that name a dead record at the newest record of their key, and drops those of keys that are
/// gone.
/// </summary>
/// <remarks>
/// For the holder of the ordered index's gate. Each look-up would wait for the old record, the words and the new record: so
/// a leaf is gone over once for each, and all its entries wait together.
/// </remarks>
/// <param name="segments">The segments.</param>
/// <param name="index">Where the newest record is found.</param>
/// <param name="concerns">Which segments are looked at; null for all.</param>
/// <param name="hashes">
/// A hash for each entry of a leaf. Entries that stay as they are have none here; no key's hash is 0 but by chance, and then it is
/// looked up alone.
/// </param>
internal sealed class LeafRefresh(SegmentTable segments, HashIndex index, SegmentSet? concerns, ulong[] hashes)
{
    private const int TypicalKeyBytes = 24;

    public void Run(Leaf leaf)
    {
        var entries = leaf.Used;
        if (!FetchRecords(entries))
        {
            return;
        }

        FetchNewest(entries);
        var kept = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            var entry = entries[i];
            if (!IsConcerned(entry) || segments.RecordAt(entry) is var record && !record.IsDead)
            {
                entries[kept++] = entry;
            }
            else if (index.TryFind(new Utf8Key(record.Key), out _, out var word) && (word & HashEntry.TombstoneBit) == 0)
            {
                entries[kept++] = Leaf.EntryOf(Leaf.FragmentOf(entry), word & HashEntry.AddressMask);
            }
        }

        leaf.Count = kept;
    }

    private bool FetchRecords(ReadOnlySpan<long> entries)
    {
        var isAny = false;
        foreach (var entry in entries)
        {
            if (IsConcerned(entry))
            {
                HashIndex.Prefetch(segments.ArrayOf(entry), HashEntry.OffsetOf(entry), TypicalKeyBytes);
                isAny = true;
            }
        }

        return isAny;
    }

    private void FetchNewest(ReadOnlySpan<long> entries)
    {
        for (var i = 0; i < entries.Length; i++)
        {
            hashes[i] = 0;
            if (IsConcerned(entries[i]) && segments.RecordAt(entries[i]) is { IsDead: true } record)
            {
                hashes[i] = KeyHash.OfUtf8(record.Key);
                index.PrefetchBucket(hashes[i]);
            }
        }

        foreach (var hash in hashes.AsSpan(0, entries.Length))
        {
            if (hash != 0)
            {
                index.PrefetchRecord(hash, TypicalKeyBytes);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsConcerned(long entry) => concerns is null || concerns.Contains(entry);
}
