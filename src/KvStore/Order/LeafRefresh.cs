using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// Points the entries of a leaf that name a dead record at the newest record of their key, and drops the entries of keys that are
/// gone.
/// </summary>
/// <remarks>
/// Call only while holding the ordered index's lock. Each look-up misses the cache three times: for the old record, the bucket and the
/// new record. So a leaf is walked three times, and in each walk the misses of all its entries overlap.
/// </remarks>
/// <param name="segments">The segments.</param>
/// <param name="index">The hash index, which finds the newest record.</param>
/// <param name="concerns">The segments whose entries are refreshed; null for all.</param>
/// <param name="hashes">
/// A buffer of a hash for each entry of a leaf. An entry that stays as it is has 0. A key whose hash is 0 by chance is not prefetched.
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
            else if (index.TryFind(new Utf8Key(record.Key), out _, out var indexEntry) && (indexEntry & HashEntry.TombstoneBit) == 0)
            {
                entries[kept++] = Leaf.EntryOf(Leaf.ScaledKeyOf(entry), indexEntry & RecordAddress.Mask);
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
                HashIndex.Prefetch(segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), TypicalKeyBytes);
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
