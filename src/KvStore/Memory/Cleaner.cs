using System.Runtime.ExceptionServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Frees memory: copies the live records out of segments that are mostly dead, and drops those segments.
/// </summary>
/// <remarks>
/// <para>In this order, so that nobody is ever led to a segment that has been dropped: the live records of a segment are
/// copied and their index entries moved to the copies; then the ordered index is refreshed, so that none of its entries points into
/// the segment; then the segment is dropped. A view keeps the array alive for as long as it likes.</para>
/// <para>Freeing must not need memory that is not there: what holds nothing alive is freed first and without a copy; a reserve is
/// kept to copy the first survivors to; and where the ordered index cannot be refreshed, it is dropped.</para>
/// <para>Thread safety: one run at a time; readers and writers go on meanwhile.</para>
/// </remarks>
/// <param name="segments">The segments.</param>
/// <param name="ordered">The ordered index.</param>
/// <param name="index">The hash index.</param>
/// <param name="relocate">Moves an entry to a copy of its record.</param>
/// <param name="bytesMovedMax">About the most bytes that a run copies, where memory is limited.</param>
internal sealed class Cleaner(
    SegmentTable segments, OrderedIndex ordered, HashIndex index, RelocateRecord relocate, long bytesMovedMax = long.MaxValue)
{
    // Less than this is not worth a pass over the ordered index.
    private const int DeadBytesMin = 256 * 1024;

    private const int RecordsAhead = 8;

    // Copying more than three live bytes to win a dead one is not worth it either.
    private const int DeadShareMin = 4;

    // When a budget is reached, more work is worth it: then a dead byte that stays refuses a put.
    private const int DeadShareMinForRoom = 16;

    private static readonly Comparison<Segment> s_deadestFirst = static (x, y) => DeadShare(y).CompareTo(DeadShare(x));

    // Kept from one run to the next, so that a run needs hardly any memory.
    private readonly List<Segment> _segments = [];
    private readonly List<Segment> _victims = [];

    /// <summary>Whether a run may leave work to the next one, because what it copies is limited.</summary>
    public bool WorksInSteps => bytesMovedMax != long.MaxValue;

    /// <summary>Cleans, if more than one byte in so many is dead.</summary>
    /// <returns>Whether anything was cleaned, so that another call may clean more.</returns>
    /// <exception cref="OutOfMemoryException">There was not enough memory to move all that was to be moved. What was moved is cleaned.</exception>
    public bool Run(int oneIn)
    {
        segments.CopyTo(_segments);
        try
        {
            SealTailsThatWaste();
            if (!IsDue(oneIn))
            {
                return false;
            }

            Choose(oneIn);
            return _victims.Count > 0 && Clean();
        }
        finally
        {
            // Not to keep the arrays of dropped segments alive until the next run.
            _segments.Clear();
            _victims.Clear();
        }
    }

    /// <summary>
    /// Cleans the deadest segments for a put that a budget has no room for, whatever their share of dead bytes, if that is not next to
    /// nothing. A call moves about a segment's worth of live records, because what it moves is in memory twice meanwhile.
    /// </summary>
    /// <param name="deadShareMin">One byte in so many must be dead.</param>
    /// <returns>Whether anything was cleaned, so that another call may clean more.</returns>
    public bool RunForRoom(int deadShareMin = DeadShareMinForRoom)
    {
        segments.CopyTo(_segments);
        try
        {
            SealTailsThatWaste();
            for (var i = _segments.Count - 1; i >= 0; i--)
            {
                var segment = _segments[i];
                if (segment.DeadBytes == 0 || segment.DeadBytes < segment.UsedBytes / deadShareMin || !segment.IsSettled)
                {
                    _segments.RemoveAt(i);
                }
            }

            _segments.Sort(s_deadestFirst);
            var bytesToMove = 0L;
            foreach (var segment in _segments)
            {
                var liveBytes = segment.UsedBytes - segment.DeadBytes;
                if (bytesToMove > 0 && bytesToMove + liveBytes > segments.Sizes.Most)
                {
                    break;
                }

                bytesToMove += liveBytes;
                _victims.Add(segment);
            }

            return _victims.Count > 0 && Clean();
        }
        finally
        {
            _segments.Clear();
            _victims.Clear();
        }
    }

    private bool Clean()
    {
        var bytesToMove = 0L;
        foreach (var victim in _victims)
        {
            bytesToMove += victim.UsedBytes - victim.DeadBytes;
        }

        // Without memory for a copy, those that are empty by now are dropped all the same: that makes room for the others.
        OutOfMemoryException? failure = null;
        var emptied = 0;
        try
        {
            for (; emptied < _victims.Count; emptied++)
            {
                Evacuate(_victims[emptied], ref bytesToMove);
            }
        }
        catch (OutOfMemoryException e)
        {
            failure = e;
            _victims.RemoveRange(emptied, _victims.Count - emptied);
        }

        if (_victims.Count > 0)
        {
            try
            {
                ordered.Refresh(new SegmentSet(_victims, segments.SlotCount));
            }
            catch (OutOfMemoryException)
            {
                // Then nothing there may point into the segments. The next list rebuilds the order from the hash index.
                ordered.Drop();
            }

            segments.Drop(_victims);
        }

        if (failure is not null && _victims.Count == 0)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        return true;
    }

    private bool IsDue(int oneIn)
    {
        var used = 0L;
        var dead = 0L;
        foreach (var segment in _segments)
        {
            used += segment.UsedBytes;
            dead += segment.DeadBytes;
        }

        return dead > DeadBytesMin && dead * oneIn > used;
    }

    // A tail that is mostly dead, and has no more room to lose than it has filled: overwriting a few keys again and again makes
    // every tail mostly dead at once, and each new one is asked about. Or one that was begun when the namespace was much larger.
    private void SealTailsThatWaste()
    {
        var live = 0L;
        foreach (var segment in _segments)
        {
            live += segment.UsedBytes - segment.DeadBytes;
        }

        segments.SealTails(
            static (segment, live) =>
                (segment.DeadBytes * 2L > segment.UsedBytes && segment.UsedBytes * 2L > segment.Bytes.Length)
                || (segment.Bytes.Length - segment.UsedBytes) * 3L > live + DeadBytesMin,
            live);
    }

    // The deadest first, until half of what is dead will be gone.
    private void Choose(int oneIn)
    {
        var used = 0L;
        var dead = 0L;
        var candidates = 0;
        for (var i = 0; i < _segments.Count; i++)
        {
            var segment = _segments[i];
            used += segment.UsedBytes;
            dead += segment.DeadBytes;
            if (segment.DeadBytes > 0 && segment.IsSettled && segment.DeadBytes >= segment.UsedBytes / DeadShareMin)
            {
                _segments[candidates++] = segment;
            }
        }

        _segments.RemoveRange(candidates, _segments.Count - candidates);
        _segments.Sort(s_deadestFirst);
        _victims.EnsureCapacity(candidates);
        var bytesToMove = 0L;
        foreach (var candidate in _segments)
        {
            var liveBytes = candidate.UsedBytes - candidate.DeadBytes;
            var isEnough = dead * oneIn * 2 <= used || (bytesToMove > 0 && bytesToMove + liveBytes > bytesMovedMax);
            if (liveBytes > 0 && isEnough)
            {
                break;
            }

            bytesToMove += liveBytes;
            _victims.Add(candidate);
            dead -= candidate.DeadBytes;
            used -= candidate.DeadBytes;
        }
    }

    private static double DeadShare(Segment segment) => segment.DeadBytes / (double)segment.UsedBytes;

    private void Evacuate(Segment victim, ref long bytesToMove)
    {
        // The buckets of a few records ahead are prefetched, so that moving a record does not wait for them.
        var ahead = 0;
        var fetched = 0;
        for (var offset = 0; offset < victim.EndBytes;)
        {
            for (; fetched < RecordsAhead && ahead < victim.EndBytes; fetched++)
            {
                var next = new Record(victim.Bytes, ahead);
                index.PrefetchBucket(KeyHash.OfUtf8(next.Key));
                ahead += next.SizeInSegment;
            }

            var record = new Record(victim.Bytes, offset);
            var bytes = record.SizeInSegment;
            if (!record.IsDead)
            {
                Move(victim, record, RecordAddress.Of(victim.Id, offset), bytesToMove);
                bytesToMove -= bytes;
            }

            offset += bytes;
            fetched--;
        }
    }

    private void Move(Segment victim, Record record, long address, long bytesToMove)
    {
        var copy = segments.ReserveForCleaner(record.SizeInSegment, bytesToMove, victim.Queue, victim.Order);
        copy.Record.CopyFrom(record);
        Relocation.Complete(relocate, record, address, copy);
    }
}
