using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>The record that a region shows for a key.</summary>
/// <param name="Record">The record; none when the key has no value.</param>
/// <param name="IsNewest">Whether the record is the engine's.</param>
/// <param name="Lease">Keeps the value's file, when the caller wants a lease and the value is in a file; the caller disposes it.</param>
internal readonly record struct VisibleRecord(Record Record, bool IsNewest, KvLargeValue? Lease);

/// <summary>The records that a region shows, whatever it has cached: those of the engine, except for writes that it has not received.</summary>
/// <remarks>
/// When the region has no backlog, a read compares <see cref="Region.BacklogVersion"/> before and after it reads the engine. When the
/// versions are equal, there was no backlog in between. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class VisibleRecords(
    Region region,
    ShardedStore store,
    CoarseClock clock,
    PendingWriteTable pendingWrites,
    DeliverySchedule schedule,
    LargeValueLeases largeValues)
{
    /// <summary>Finds a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="visible">The record.</param>
    /// <returns>Whether the key has a value that has not expired.</returns>
    public bool TryFind<TKey>(in TKey key, out VisibleRecord visible)
        where TKey : struct, IKey, allows ref struct
    {
        var version = region.BacklogVersion;
        if ((uint)version == 0)
        {
            var isFound = store.TryFind(key, out var record);

            // Keeps the processor from reading the version before it reads the engine.
            Volatile.ReadBarrier();
            if (region.BacklogVersion == version)
            {
                visible = new VisibleRecord(record, IsNewest: true, Lease: null);
                return isFound;
            }
        }

        var isThere = pendingWrites.TryFind(region, key, out var shown, out var isNewest);
        visible = new VisibleRecord(shown, isNewest, Lease: null);
        return isThere && (isNewest || !clock.HasPassed(shown.Deadline));
    }

    /// <summary>Creates the caller's view of a record. Looks the key up again when its large value was replaced meanwhile.</summary>
    /// <returns>False when the key has no value any more.</returns>
    public bool TryView<TKey>(in TKey key, in VisibleRecord visible, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        var record = visible.Record;
        do
        {
            if (TryView(record, out value))
            {
                return true;
            }
        }
        while (TryFindAgain(key, ref record));
        return false;
    }

    /// <summary>Creates the caller's view of a record. A view of a large value keeps its file.</summary>
    /// <returns>False when the record has a large value whose file is gone.</returns>
    public bool TryView(Record record, out KvValue value)
    {
        if (!record.IsLarge)
        {
            value = record.ToValue();
            return true;
        }

        var isThere = largeValues.TryView(record.LargeValue, record, out var view);
        value = isThere ? record.ToValue(view!) : default;
        return isThere;
    }

    /// <summary>Takes a lease on the file of a large value, so that the value stays readable when it is replaced.</summary>
    /// <returns>
    /// The record that the region shows, with a lease when its value is in a file; the caller disposes the lease. Null when the key
    /// has no value any more.
    /// </returns>
    public VisibleRecord? TryLease<TKey>(in TKey key, in VisibleRecord visible)
        where TKey : struct, IKey, allows ref struct
    {
        var record = visible.Record;
        do
        {
            if (!record.IsLarge)
            {
                return visible with { Record = record };
            }

            if (largeValues.TryLease(record.LargeValue) is { } lease)
            {
                return new VisibleRecord(record, visible.IsNewest, lease);
            }
        }
        while (TryFindAgain(key, ref record));
        return null;
    }

    /// <summary>Lists keys.</summary>
    /// <param name="prefix">The prefix of the keys.</param>
    /// <param name="after">The key after which the page begins; empty for the first page.</param>
    /// <param name="limit">The most keys of the page.</param>
    public KvListPage List(byte[] prefix, byte[] after, int limit)
    {
        var version = region.BacklogVersion;
        if ((uint)version == 0)
        {
            var page = ListPage.Read(store, prefix, after, limit);
            Volatile.ReadBarrier();
            if (region.BacklogVersion == version)
            {
                return page;
            }
        }

        schedule.DeliverDue();
        return ListPage.Of(Merge(prefix, after, limit + 1), limit);
    }

    // The large value was replaced after the look-up; or it has expired, when the key still has this value.
    private bool TryFindAgain<TKey>(in TKey key, ref Record record)
        where TKey : struct, IKey, allows ref struct
    {
        var before = record.LargeValue;
        if (!TryFind(key, out var visible) || (visible.Record.IsLarge && visible.Record.LargeValue == before))
        {
            return false;
        }

        record = visible.Record;
        return true;
    }

    // The engine's keys, with the region's backlogs laid over them.
    private Record[] Merge(byte[] prefix, byte[] after, int count)
    {
        var results = new List<Record>(count);
        var newest = new Record[count];
        var pending = new List<(byte[] Key, Record Visible)>();
        bool isEnd;
        do
        {
            // The engine first: a write that it shows too early for this region has a backlog already.
            var found = store.List(prefix, after, newest);
            isEnd = found < newest.Length;
            pending.Clear();
            pendingWrites.Collect(region, prefix, after, pending);
            pending.Sort(static (left, right) => left.Key.AsSpan().SequenceCompareTo(right.Key));

            var next = 0;
            foreach (ref readonly var record in newest.AsSpan(0, found))
            {
                var order = -1;
                while (next < pending.Count && (order = pending[next].Key.AsSpan().SequenceCompareTo(record.Key)) < 0)
                {
                    Add(pending[next++].Visible);
                }

                if (next < pending.Count && order == 0)
                {
                    Add(pending[next++].Visible);
                }
                else
                {
                    results.Add(record);
                }
            }

            while (isEnd && next < pending.Count)
            {
                Add(pending[next++].Visible);
            }

            after = found == 0 ? after : newest[found - 1].Key.ToArray();
        }
        while (!isEnd && results.Count < count);
        return [.. results.Take(count)];

        void Add(Record visible)
        {
            if (!visible.IsNone && !clock.HasPassed(visible.Deadline))
            {
                results.Add(visible);
            }
        }
    }
}
