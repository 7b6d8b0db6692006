using KvStore.Keys;

namespace KvStore.Engine;

/// <summary>
/// Brings memory back: copies the live records out of segments that are mostly dead, and lets go of those segments.
/// </summary>
/// <remarks>
/// <para>In this order, so that nobody is ever led to a segment that has been dropped: the live records of a segment are
/// copied and their words moved to the copies; then the ordered index is refreshed, so that none of its entries points into
/// the segment; then the segment is dropped. A view keeps the array alive for as long as it likes.</para>
/// <para>Thread safety: one run at a time; readers and writers go on meanwhile.</para>
/// </remarks>
internal sealed class Cleaner(ShardedStore store)
{
    // Less than this is not worth a pass over the ordered index.
    private const int DeadBytesMin = 256 * 1024;

    private const int RecordsAhead = 8;

    // Copying more than three live bytes to win a dead one is not worth it either.
    private const int DeadShareMin = 4;

    /// <summary>Cleans, if more than one byte in so many is dead.</summary>
    /// <returns>Whether anything was cleaned.</returns>
    public bool Run(int oneIn)
    {
        var segments = store.Segments.ToList();
        SealTailsThatWaste(segments);
        if (!IsDue(segments, oneIn))
        {
            return false;
        }

        var victims = Choose(segments, oneIn);
        if (victims.Count == 0)
        {
            return false;
        }

        var bytesToMove = victims.Sum(victim => (long)(victim.UsedBytes - victim.DeadBytes));
        foreach (var victim in victims)
        {
            Evacuate(victim, ref bytesToMove);
        }

        store.Ordered.Refresh(new SegmentSet(victims, store.Segments.SlotCount));
        store.Segments.Drop(victims);
        return true;
    }

    private static bool IsDue(List<Segment> segments, int oneIn)
    {
        var used = 0L;
        var dead = 0L;
        foreach (var segment in segments)
        {
            used += segment.UsedBytes;
            dead += segment.DeadBytes;
        }

        return dead > DeadBytesMin && dead * oneIn > used;
    }

    // A tail that is mostly dead, and has no more room to lose than it has filled: overwriting a few keys again and again makes
    // every tail mostly dead at once, and each new one is asked about. Or one that was begun when the namespace was much larger.
    private void SealTailsThatWaste(List<Segment> segments)
    {
        var live = segments.Sum(s => (long)(s.UsedBytes - s.DeadBytes));
        store.Segments.SealTails(s =>
            (s.DeadBytes * 2L > s.UsedBytes && s.UsedBytes * 2L > s.Bytes.Length) || (s.Bytes.Length - s.UsedBytes) * 3L > live + DeadBytesMin);
    }

    // The deadest first, until half of what is dead will be gone.
    private static List<Segment> Choose(List<Segment> segments, int oneIn)
    {
        var candidates = segments.Where(s => s.DeadBytes > 0 && s.IsSettled && s.DeadBytes >= s.UsedBytes / DeadShareMin).ToList();
        candidates.Sort((x, y) => DeadShare(y).CompareTo(DeadShare(x)));
        var used = segments.Sum(s => (long)s.UsedBytes);
        var dead = segments.Sum(s => (long)s.DeadBytes);
        var victims = new List<Segment>();
        foreach (var candidate in candidates)
        {
            if (DeadShare(candidate) < 1 && dead * oneIn * 2 <= used)
            {
                break;
            }

            victims.Add(candidate);
            dead -= candidate.DeadBytes;
            used -= candidate.DeadBytes;
        }

        return victims;
    }

    private static double DeadShare(Segment segment) => segment.DeadBytes / (double)segment.UsedBytes;

    private void Evacuate(Segment victim, ref long bytesToMove)
    {
        // The words of a few records ahead are asked for, so that moving one need not wait for them.
        var ahead = 0;
        var fetched = 0;
        for (var offset = 0; offset < victim.EndBytes;)
        {
            for (; fetched < RecordsAhead && ahead < victim.EndBytes; fetched++)
            {
                var next = new Record(victim.Bytes, ahead);
                store.PrefetchWords(KeyHash.OfUtf8(next.Key));
                ahead += next.SizeInSegment;
            }

            var record = new Record(victim.Bytes, offset);
            var bytes = record.SizeInSegment;
            if (!record.IsDead)
            {
                Move(record, IndexWord.AddressOf(victim.Id, offset), bytesToMove);
                bytesToMove -= bytes;
            }

            offset += bytes;
            fetched--;
        }
    }

    private void Move(Record record, long address, long bytesToMove)
    {
        var copy = store.Segments.ReserveForCleaner(record.SizeInSegment, bytesToMove);
        copy.Record.CopyFrom(record);
        if (record.Deadline is { IsNone: false } deadline)
        {
            copy.Segment.NoteDeadline(deadline.EarliestSecond);
        }

        if (store.Relocate(record, address, copy))
        {
            copy.Segment.Settle(copy.Record.SizeInSegment);
        }
        else
        {
            // Overwritten or removed meanwhile.
            ShardedStore.Abandon(copy);
        }
    }
}
