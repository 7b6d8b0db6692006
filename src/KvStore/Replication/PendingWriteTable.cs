using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>
/// The writes that some region has not received. The engine has the newest state; this table has, for each such key and each
/// region that lags, the record that the region still shows, and the deliveries that change it.
/// </summary>
/// <remarks>
/// <para>Invariants:</para>
/// <list type="number">
/// <item>A region without a backlog for a key shows what the engine has of the key.</item>
/// <item>A backlog is added before a reader of the engine can see the write that it is about, and removed only after that.</item>
/// <item>What a region shows of a key only becomes newer, in the order of stamps and revisions.</item>
/// </list>
/// <para>Which write wins: a write gets the time of its region's clock as its stamp, but never less than the stamp of the write
/// that its region showed. Of two writes the higher stamp wins, and of equal stamps the higher revision. As long as all clocks
/// agree, that is always the higher revision. A write that loses against one that its region has not received is shown where the
/// winner has not been delivered, and never becomes the engine's.</para>
/// <para>Memory: a write allocates all that it needs before it changes anything here. A delivery allocates nothing.</para>
/// <para>Thread safety: all members, from any thread. Each of the engine's shards has one lock here for its keys; while it is held,
/// only the lock of the schedule is taken.</para>
/// </remarks>
internal sealed class PendingWriteTable
{
    private readonly ShardedStore _store;
    private readonly CoarseClock _expiry;
    private readonly DeliverySchedule _schedule;
    private readonly WriteDelivery _delivery;
    private readonly Region[] _regions;
    private readonly ReplicationEvents _events;
    private readonly LargeValueLeases _largeValues;
    private readonly Stripe[] _stripes = new Stripe[HashIndex.ShardCount];

    public PendingWriteTable(
        ShardedStore store,
        CoarseClock expiry,
        DeliverySchedule schedule,
        WriteDelivery delivery,
        Region[] regions,
        ReplicationEvents events,
        LargeValueLeases largeValues)
    {
        _store = store;
        _expiry = expiry;
        _schedule = schedule;
        _delivery = delivery;
        _regions = regions;
        _events = events;
        _largeValues = largeValues;
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>The number of keys with pending writes.</summary>
    public int KeyCount
    {
        get
        {
            var count = 0;
            foreach (var stripe in _stripes)
            {
                lock (stripe.Lock)
                {
                    count += stripe.Keys.Count;
                }
            }

            return count;
        }
    }

    /// <summary>Whether some region has not received every write of a key.</summary>
    public bool Contains<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        lock (stripe.Lock)
        {
            return DeliverDueHoldingLock(stripe, stripe.Keys.Find(key)) is not null;
        }
    }

    /// <summary>Whether a write that is made now wins over the writes that its region has not received.</summary>
    public bool WouldWin<TKey>(Region origin, in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        lock (stripe.Lock)
        {
            var pending = DeliverDueHoldingLock(stripe, stripe.Keys.Find(key));
            return pending is null || StampOf(origin, pending, stripe.Tick(_schedule.NowTicks)) >= pending.Newest.Stamp;
        }
    }

    /// <summary>Sends a write to all regions. Call under the lock of the key's shard, before readers of the engine see the write.</summary>
    /// <param name="write">The write.</param>
    /// <param name="key">Its key in UTF-8.</param>
    /// <param name="hash">The hash of the key.</param>
    /// <param name="before">The record that the engine has of the key.</param>
    /// <param name="isNewest">Whether the engine has no higher revision of the key.</param>
    /// <param name="wins">Whether the write wins, when that was decided before; null to decide it now.</param>
    /// <param name="pending">The key, when some region does not receive the write at once; pass it to <see cref="Complete"/>.</param>
    /// <returns>Whether the write wins, and becomes the engine's.</returns>
    public bool Publish(
        PendingWrite write, ReadOnlySpan<byte> key, ulong hash, Record before, bool isNewest, bool? wins, out PendingKey? pending)
    {
        var stripe = StripeOf(hash);
        lock (stripe.Lock)
        {
            write.WrittenTicks = stripe.Tick(_schedule.NowTicks);
            pending = DeliverDueHoldingLock(stripe, stripe.Keys.Find(new Utf8Key(key, hash)));
            if (pending is null)
            {
                // The write lost when it was decided, and every region has the winner by now.
                var isSuperseded = !isNewest || wins == false;
                if (isSuperseded || (write.Record.IsNone && (before.IsNone || _expiry.HasPassed(before.Deadline))))
                {
                    return !isSuperseded;
                }

                if (!_delivery.IsDelayed(write.Origin))
                {
                    _events.ReportDelivered(key, write, _regions);
                    return true;
                }

                pending = AddHoldingLock(stripe, key, hash, before);
            }

            return SendHoldingLock(stripe, ref pending, write, isNewest, wins);
        }
    }

    /// <summary>Notes that readers can see a write: regions that have received every write need no backlog any more.</summary>
    public void Complete(PendingWrite write, PendingKey pending)
    {
        var stripe = StripeOf(pending.Hash);
        lock (stripe.Lock)
        {
            write.IsPublished = true;
            foreach (var region in _regions)
            {
                RemoveReceivedHoldingLock(stripe, pending, region);
            }
        }
    }

    /// <summary>Finds the record that a region shows of a key. Slower than the engine; for regions with a backlog.</summary>
    /// <param name="region">The region.</param>
    /// <param name="key">The key.</param>
    /// <param name="record">The record. When it is not the engine's, it may have expired.</param>
    /// <param name="isNewest">Whether the record is the engine's.</param>
    /// <returns>Whether there is a record.</returns>
    public bool TryFind<TKey>(Region region, in TKey key, out Record record, out bool isNewest)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        var staleTicks = 0L;
        lock (stripe.Lock)
        {
            if (DeliverDueHoldingLock(stripe, stripe.Keys.Find(key), region) is not { } backlog)
            {
                isNewest = true;
                return _store.TryFind(key, out record);
            }

            isNewest = false;
            record = backlog.Visible.Record;
            if (backlog.Count > 0 && ReplicationEvents.IsStalenessObserved)
            {
                staleTicks = Math.Max(1, _schedule.NowTicks - backlog.OldestWrittenTicks);
            }
        }

        if (staleTicks > 0)
        {
            _events.ReportStaleRead(region, staleTicks);
        }

        return !record.IsNone;
    }

    /// <summary>
    /// Adds the keys with a prefix, and after a key, for which a region does not show the record of the engine, with the records that
    /// it shows.
    /// </summary>
    public void Collect(Region region, byte[] prefix, ReadOnlySpan<byte> after, List<(byte[] Key, Record Visible)> results)
    {
        foreach (var stripe in _stripes)
        {
            lock (stripe.Lock)
            {
                foreach (var pending in stripe.Keys.Items)
                {
                    var isListed = pending[region] is not null && pending.Key.AsSpan().StartsWith(prefix)
                        && (after.IsEmpty || pending.Key.AsSpan().SequenceCompareTo(after) > 0);
                    if (isListed)
                    {
                        results.Add((pending.Key, pending[region]!.Visible.Record));
                    }
                }
            }
        }
    }

    /// <summary>Makes a delivery.</summary>
    /// <returns>False when the delivery is void: it was made before, superseded, or has another time now.</returns>
    public bool Deliver(in Delivery delivery, long deliveredTicks)
    {
        var stripe = StripeOf(delivery.Key.Hash);
        lock (stripe.Lock)
        {
            if (delivery.Key[delivery.Region] is not { } backlog || !backlog.Expects(delivery.Write, delivery.DueTicks))
            {
                return false;
            }

            _delivery.Deliver(delivery.Key, delivery.Region, backlog, delivery.Write, deliveredTicks);
            RemoveReceivedHoldingLock(stripe, delivery.Key, delivery.Region);
            return true;
        }
    }

    /// <summary>Holds back deliveries from and to regions that are partitioned, and sends again what was held back and need not be.</summary>
    public void Reroute()
    {
        var nowTicks = _schedule.NowTicks;
        foreach (var stripe in _stripes)
        {
            lock (stripe.Lock)
            {
                foreach (var pending in stripe.Keys.Items)
                {
                    _delivery.Reroute(pending, nowTicks);
                }
            }
        }
    }

    // The time of the region's clock, but not before the stamp of the write that the region shows.
    private static long StampOf(Region origin, PendingKey pending, long nowTicks) =>
        Math.Max(nowTicks + origin.SkewTicks, (pending[origin]?.Visible ?? pending.Newest).Stamp);

    private Stripe StripeOf(ulong hash) => _stripes[HashIndex.ShardOf(hash)];

    private KvLargeValue? LeaseOf(Record record) => !record.IsNone && record.IsLarge ? _largeValues.TryLease(record.LargeValue) : null;

    private PendingKey AddHoldingLock(Stripe stripe, ReadOnlySpan<byte> key, ulong hash, Record before)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        AllocationProbe.Before();
        var baseline = PendingWrite.Baseline(before);
        var pending = new PendingKey(key.ToArray(), hash, _regions.Length, baseline);
        try
        {
            baseline.KeepFile(LeaseOf(before));
            AllocationProbe.Before();
            stripe.Keys.Add(pending);
        }
        catch
        {
            pending.Release();
            throw;
        }

        return pending;
    }

    private bool SendHoldingLock(Stripe stripe, ref PendingKey? pending, PendingWrite write, bool isNewest, bool? decided)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        var key = pending!;
        var isSent = false;
        write.Retain();
        try
        {
            write.KeepFile(LeaseOf(write.Record));
            var stamp = StampOf(write.Origin.Region, key, write.WrittenTicks);
            var wins = isNewest && (decided ?? stamp >= key.Newest.Stamp);
            Debug.Assert(wins || key.Newest.Stamp > long.MinValue, "Every write wins over the baseline.");
            write.Stamp = wins ? Math.Max(stamp, key.Newest.Stamp) : Math.Min(stamp, isNewest ? key.Newest.Stamp - 1 : key.Newest.Stamp);

            _delivery.Send(key, write, wins);
            if (wins)
            {
                key.Newest = write;
            }

            isSent = true;
            return wins;
        }
        finally
        {
            // When no region waits for the write, nothing needs its large value.
            write.Release();
            for (var i = 0; i < _regions.Length && !isSent; i++)
            {
                RemoveReceived(key, _regions[i]);
            }

            if (key.IsSettled)
            {
                // The write was not sent, or its delay ended before it was sent.
                RemoveHoldingLock(stripe, key);
                pending = null;
            }
        }
    }

    // Makes the deliveries that are due in every region. Returns null when the key has no pending writes after that.
    private PendingKey? DeliverDueHoldingLock(Stripe stripe, PendingKey? key)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        if (key is null)
        {
            return null;
        }

        foreach (var region in _regions)
        {
            _ = DeliverDueHoldingLock(stripe, key, region);
        }

        return key.IsSettled ? null : key;
    }

    // Makes the deliveries that are due in a region. Returns its backlog; null when it has none after that.
    private Backlog? DeliverDueHoldingLock(Stripe stripe, PendingKey? key, Region region)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        if (key?[region] is not { } backlog)
        {
            return null;
        }

        _delivery.DeliverDue(key, region, backlog);
        RemoveReceivedHoldingLock(stripe, key, region);
        return key[region];
    }

    private static void RemoveReceivedHoldingLock(Stripe stripe, PendingKey key, Region region)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        if (RemoveReceived(key, region) && key.IsSettled)
        {
            RemoveHoldingLock(stripe, key);
        }
    }

    // Before the newest write is published, the engine has the one before it, which the region may never have shown.
    private static bool RemoveReceived(PendingKey key, Region region)
    {
        var isReceived = key[region] is { Count: 0 } && key.Newest.IsPublished;
        if (isReceived)
        {
            key[region] = null;
        }

        return isReceived;
    }

    private static void RemoveHoldingLock(Stripe stripe, PendingKey key)
    {
        Debug.Assert(stripe.Lock.IsHeldByCurrentThread);
        stripe.Keys.Remove(key);
        key.Release();
    }

    /// <summary>The keys with pending writes of one of the engine's shards.</summary>
    private sealed class Stripe
    {
        private long _lastTicks;

        public Lock Lock { get; } = new();

        public KeyTable<PendingKey> Keys { get; } = new();

        /// <summary>The time of a write: never before that of the last write, although the clock may be set back.</summary>
        public long Tick(long nowTicks)
        {
            Debug.Assert(Lock.IsHeldByCurrentThread);
            return _lastTicks = Math.Max(_lastTicks, nowTicks);
        }
    }
}
