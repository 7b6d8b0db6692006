using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Frees memory by evicting entries: empties the oldest segments of a queue, from which the records that stay are copied to the main
/// queue.
/// </summary>
/// <remarks>
/// <para>Which records stay is decided by <see cref="EvictionPolicy"/>. Everything else is as in <see cref="Cleaner"/>: nobody is ever
/// led to a segment that was dropped, and a view keeps its array alive.</para>
/// <para>A segment from which hardly anything would leave is not copied: it goes to the end of the main queue as it is.</para>
/// <para>Thread safety: one run at a time, and no run of the cleaner or the sweep beside it; readers and writers go on meanwhile.</para>
/// </remarks>
/// <param name="segments">The segments.</param>
/// <param name="ordered">The ordered index.</param>
/// <param name="index">The hash index.</param>
/// <param name="policy">Chooses.</param>
/// <param name="relocate">Moves an entry to a copy of its record.</param>
/// <param name="evict">Removes entries.</param>
/// <param name="entryCount">Counts the entries.</param>
/// <param name="clock">Decides whether entries have expired.</param>
internal sealed class Evictor(
    SegmentTable segments,
    OrderedIndex ordered,
    HashIndex index,
    EvictionPolicy policy,
    RelocateRecord relocate,
    EvictEntries evict,
    Func<long> entryCount,
    CoarseClock clock)
{
    // Dropping segments needs a pass over the ordered index, so several are dropped at once.
    private const int VictimShare = 32;

    // A segment with less to free is not worth copying.
    private const int FreedShareMin = 16;

    private const int RecordsAhead = 8;

    // Kept from one run to the next.
    private readonly List<Segment> _segments = [];
    private readonly List<Segment> _victims = [];
    private readonly List<EvictionCandidate> _candidates = [];

    /// <summary>Evicts about a thirty-second of the memory.</summary>
    /// <param name="isForced">Whether used records leave too: after runs that found nothing but used ones.</param>
    /// <returns>Whether anything was freed, or may be by the next run.</returns>
    /// <exception cref="OutOfMemoryException">There was no memory to copy what stays. What has left has left.</exception>
    /// <exception cref="KvPersistenceException">An eviction could not be written to the disk; the entry is still there.</exception>
    public bool Run(bool isForced)
    {
        policy.SetEntries(entryCount());
        segments.CopyTo(_segments);
        try
        {
            // Only what is settled can be walked.
            _segments.RemoveAll(static segment => !segment.IsSettled);
            _segments.Sort(static (x, y) => x.Order.CompareTo(y.Order));
            var requeued = 0;
            EvictAndDrop(isForced, ref requeued);
            return _victims.Count > 0 || requeued > 0;
        }
        finally
        {
            // Not to keep the arrays of dropped segments alive until the next run.
            _segments.Clear();
            _victims.Clear();
            _candidates.Clear();
        }
    }

    private void EvictAndDrop(bool isForced, ref int requeued)
    {
        var (smallBytes, mainBytes) = BytesOfQueues();
        var wanted = (smallBytes + mainBytes) / VictimShare;
        var freed = 0L;
        var copied = 0L;
        try
        {
            while (freed < wanted && copied < segments.Sizes.Most && TakeNext(smallBytes, mainBytes) is { } victim)
            {
                var bytes = victim.Bytes.Length;
                var stays = isForced ? 0 : CountStaying(victim);
                var queue = victim.Queue;
                if (stays > 0 && (victim.UsedBytes - stays) * (long)FreedShareMin < victim.UsedBytes)
                {
                    Requeue(victim);
                    requeued++;
                    (smallBytes, mainBytes) = queue == SegmentQueue.Small ? (smallBytes - bytes, mainBytes + bytes) : (smallBytes, mainBytes);
                    continue;
                }

                var moved = Evacuate(victim, isForced, stays);
                _victims.Add(victim);
                freed += bytes - moved;
                copied += moved;
                smallBytes -= queue == SegmentQueue.Small ? bytes : 0;
                mainBytes += moved - (queue == SegmentQueue.Main ? bytes : 0);
            }
        }
        finally
        {
            Drop();
        }
    }

    private void Drop()
    {
        if (_victims.Count == 0)
        {
            return;
        }

        try
        {
            ordered.Refresh(new SegmentSet(_victims, segments.SlotCount));
        }
        catch (OutOfMemoryException)
        {
            // As the cleaner does: the next list rebuilds the order from the hash index.
            ordered.Drop();
        }

        segments.Drop(_victims);
    }

    private (long Small, long Main) BytesOfQueues()
    {
        var (small, main) = (0L, 0L);
        foreach (var segment in _segments)
        {
            small += segment.Queue == SegmentQueue.Small ? segment.Bytes.Length : 0;
            main += segment.Queue == SegmentQueue.Main ? segment.Bytes.Length : 0;
        }

        return (small, main);
    }

    // The oldest segment of the queue that is due; of the other one, if that queue has none.
    private Segment? TakeNext(long smallBytes, long mainBytes)
    {
        var next = policy.Next(smallBytes, mainBytes);
        var position = _segments.FindIndex(segment => segment.Queue == next);
        position = position < 0 && _segments.Count > 0 ? 0 : position;
        if (position < 0)
        {
            return null;
        }

        var taken = _segments[position];
        _segments.RemoveAt(position);
        return taken;
    }

    private int CountStaying(Segment segment)
    {
        var stays = 0;
        for (var offset = 0; offset < segment.EndBytes;)
        {
            var record = new Record(segment.Bytes, offset);
            var bytes = record.SizeInSegment;
            stays += Stays(record, segment.Queue, isForced: false, out _) ? bytes : 0;
            offset += bytes;
        }

        return stays;
    }

    private bool Stays(Record record, SegmentQueue queue, bool isForced, out int usesAfter)
    {
        usesAfter = 0;
        return !record.IsDead && (record.IsTombstone || (!isForced && policy.Keeps(queue, record.Uses, out usesAfter) && !clock.HasPassed(record.Deadline)));
    }

    // The few records that would have left have another round.
    private void Requeue(Segment segment)
    {
        for (var offset = 0; offset < segment.EndBytes;)
        {
            var record = new Record(segment.Bytes, offset);
            policy.Keeps(segment.Queue, record.Uses, out var usesAfter);
            record.SetUses(usesAfter);
            offset += record.SizeInSegment;
        }

        segments.MoveToEnd(segment, SegmentQueue.Main);
    }

    // Returns the bytes that were copied.
    private int Evacuate(Segment victim, bool isForced, int bytesToMove)
    {
        _candidates.Clear();
        for (var offset = 0; offset < victim.EndBytes;)
        {
            var record = new Record(victim.Bytes, offset);
            if (!record.IsDead && !Stays(record, victim.Queue, isForced, out _))
            {
                _candidates.Add(new EvictionCandidate(record, KeyHash.OfUtf8(record.Key), RecordAddress.Of(victim.Id, offset)));
            }

            offset += record.SizeInSegment;
        }

        evict(_candidates, victim.Queue);

        // What lives now stays, whether that was planned or not: an entry with a newer write on its way is not evicted, and one may have
        // been used since.
        var moved = 0;
        var ahead = 0;
        var fetched = 0;
        for (var offset = 0; offset < victim.EndBytes;)
        {
            for (; fetched < RecordsAhead && ahead < victim.EndBytes; fetched++)
            {
                var next = new Record(victim.Bytes, ahead);
                if (!next.IsDead)
                {
                    index.PrefetchBucket(KeyHash.OfUtf8(next.Key));
                }

                ahead += next.SizeInSegment;
            }

            var record = new Record(victim.Bytes, offset);
            var bytes = record.SizeInSegment;
            if (!record.IsDead)
            {
                policy.Keeps(victim.Queue, record.Uses, out var usesAfter);
                Move(record, RecordAddress.Of(victim.Id, offset), usesAfter, Math.Max(bytesToMove - moved, bytes));
                moved += bytes;
            }

            offset += bytes;
            fetched--;
        }

        return moved;
    }

    private void Move(Record record, long address, int usesAfter, long bytesToMove)
    {
        // Not for what remains of this segment alone: the next one has survivors too.
        var copy = segments.ReserveForCleaner(record.SizeInSegment, Math.Max(bytesToMove, segments.Sizes.Most));
        copy.Record.CopyFrom(record);
        copy.Record.SetUses(usesAfter);
        Relocation.Complete(relocate, record, address, copy);
    }
}

/// <summary>An entry that eviction has chosen.</summary>
/// <param name="Record">Its record.</param>
/// <param name="Hash">The hash of its key.</param>
/// <param name="Address">The address of the record.</param>
internal readonly record struct EvictionCandidate(Record Record, ulong Hash, long Address);

/// <summary>Removes entries, on the disk as well where the namespace persists, unless they have changed or are about to.</summary>
/// <param name="candidates">The entries.</param>
/// <param name="queue">The queue that they leave.</param>
internal delegate void EvictEntries(List<EvictionCandidate> candidates, SegmentQueue queue);
