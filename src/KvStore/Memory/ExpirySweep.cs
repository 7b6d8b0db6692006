using KvStore.Expiry;
using KvStore.Index;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Removes entries that have expired, so that their memory comes back though nobody reads them.
/// </summary>
/// <remarks>
/// Nothing is kept per entry. Each segment knows the earliest deadline in it, and is walked, front to back as memory likes
/// it, when that has passed. A namespace whose entries all live equally long walks each segment once.
/// Thread safety: one run at a time; readers and writers go on meanwhile.
/// </remarks>
internal sealed class ExpirySweep(ShardedStore store, CoarseClock clock)
{
    // Kept from one run to the next.
    private readonly List<Segment> _segments = [];

    /// <summary>Removes what has expired by now.</summary>
    public void Run()
    {
        var now = clock.Now;
        var nowSeconds = now.ToUnixTimeSeconds();
        if (store.Segments.NextDeadline > nowSeconds)
        {
            return;
        }

        store.Segments.SealTails(static (segment, nowSeconds) => segment.NextDeadline <= nowSeconds, nowSeconds);
        store.Segments.CopyTo(_segments);
        foreach (var segment in _segments)
        {
            if (segment.NextDeadline <= nowSeconds && segment.IsSettled)
            {
                Walk(segment, now);
            }
        }

        _segments.Clear();
    }

    private void Walk(Segment segment, DateTimeOffset now)
    {
        var next = uint.MaxValue;
        for (var offset = 0; offset < segment.EndBytes;)
        {
            var record = new Record(segment.Bytes, offset);
            var deadline = record.Deadline;
            if (!deadline.IsNone && !record.IsDead)
            {
                if (deadline.HasPassedAt(now))
                {
                    store.RemoveExpired(record, HashEntry.AddressOf(segment.Id, offset));
                }
                else
                {
                    next = Math.Min(next, deadline.EarliestSecond);
                }
            }

            offset += record.SizeInSegment;
        }

        segment.SetNextDeadline(next);
    }
}
