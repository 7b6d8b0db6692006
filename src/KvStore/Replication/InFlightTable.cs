using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>
/// What regions have not heard yet. The newest state is the engine's; here is, for each key in flight and each region that
/// lags, the record that the region still sees, and when that changes.
/// </summary>
/// <remarks>
/// <para>What is always true:</para>
/// <list type="number">
/// <item>A region without a backlog for a key sees what the engine has of it.</item>
/// <item>A backlog is there before a reader of the engine can see what it is about, and goes only after that.</item>
/// <item>What a region sees of a key only ever becomes newer, in the order of stamps and revisions.</item>
/// </list>
/// <para>Which write is the last: a mutation gets as its stamp the time of its region's clock, but never less than the stamp
/// of what that region has heard of the key. Of two, the one with the higher stamp wins, and of equal ones the one with the
/// higher revision. As long as all clocks agree that is always the higher revision. A mutation that loses against one that
/// its region has not heard of yet is shown where that one has not arrived, and never becomes the engine's.</para>
/// <para>Thread safety: all members, from any thread. There is one lock for the keys of each of the engine's shards; under
/// it only the lock of the schedule is taken.</para>
/// </remarks>
internal sealed class InFlightTable
{
    private readonly ShardedStore _store;
    private readonly CoarseClock _expiry;
    private readonly ReplicationClock _clock;
    private readonly IReadOnlyList<Region> _regions;
    private readonly Transit _transit;
    private readonly ReplicationFeed _feed;
    private readonly LargeValueLeases _largeValues;
    private readonly Stripe[] _stripes = new Stripe[HashIndex.ShardCount];

    public InFlightTable(
        ShardedStore store,
        CoarseClock expiry,
        ReplicationClock clock,
        IReadOnlyList<Region> regions,
        Transit transit,
        ReplicationFeed feed,
        LargeValueLeases largeValues)
    {
        _store = store;
        _expiry = expiry;
        _clock = clock;
        _regions = regions;
        _transit = transit;
        _feed = feed;
        _largeValues = largeValues;
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>How many keys are in flight.</summary>
    public int KeyCount
    {
        get
        {
            var count = 0;
            foreach (var stripe in _stripes)
            {
                lock (stripe.Gate)
                {
                    count += stripe.Keys.Count;
                }
            }

            return count;
        }
    }

    /// <summary>Whether some region has not heard everything about a key.</summary>
    public bool Contains<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        lock (stripe.Gate)
        {
            return Hear(stripe, stripe.Keys.Find(key)) is not null;
        }
    }

    /// <summary>Whether a mutation, made now, would win over what its region has not heard of.</summary>
    public bool WouldWin<TKey>(Departure departure, in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        lock (stripe.Gate)
        {
            var entry = Hear(stripe, stripe.Keys.Find(key));
            return entry is null || StampOf(departure.Origin, entry, stripe.Tick(_clock.NowTicks)) >= entry.Newest.Stamp;
        }
    }

    /// <summary>Puts a mutation on its way. Called under the lock of the key's shard, before readers of the engine see it.</summary>
    /// <returns>Whether it wins, and becomes the engine's.</returns>
    public bool Publish(
        Departure departure,
        ReadOnlySpan<byte> key,
        ulong hash,
        Record before,
        Record after,
        long revision,
        bool isNewest,
        out InFlightKey? entry)
    {
        var stripe = StripeOf(hash);
        lock (stripe.Gate)
        {
            departure.WrittenTicks = stripe.Tick(_clock.NowTicks);
            entry = Hear(stripe, stripe.Keys.Find(new Utf8Key(key, hash)));
            if (entry is null)
            {
                // What was to lose has been outlived by the winner.
                var isOutdone = !isNewest || departure.Wins == false;
                if (isOutdone || (after.IsNone && (before.IsNone || _expiry.HasPassed(before.Deadline))))
                {
                    return !isOutdone;
                }

                if (!_transit.IsDelayed(departure))
                {
                    _feed.ReportAtOnce(key, after, revision, departure, _regions);
                    return true;
                }

                entry = new InFlightKey(key.ToArray(), hash, _regions.Count, InFlightMutation.Standing(before, Hold(before)));
                stripe.Keys.Add(entry);
            }

            var wins = Publish(departure, entry, after, revision, isNewest);
            if (entry.IsSettled)
            {
                // What would have delayed it was over before it was sent.
                stripe.Keys.Remove(entry);
                entry.Leave();
                entry = null;
            }

            return wins;
        }
    }

    /// <summary>Notes that readers can see what was published: regions that have heard everything need no backlog any more.</summary>
    public void Complete(Departure departure, InFlightKey entry)
    {
        var stripe = StripeOf(entry.Hash);
        lock (stripe.Gate)
        {
            departure.IsPublished = true;
            foreach (var region in _regions)
            {
                LandIfEmpty(stripe, entry, region);
            }
        }
    }

    /// <summary>Finds what a region sees of a key: the long way, for when something may be in flight there.</summary>
    /// <param name="region">The region.</param>
    /// <param name="key">The key.</param>
    /// <param name="arrived">What it sees; when that is not from the index, it may have expired.</param>
    /// <returns>Whether there is a value.</returns>
    public bool TryFind<TKey>(Region region, in TKey key, out ArrivedRecord arrived)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        var staleTicks = 0L;
        lock (stripe.Gate)
        {
            if (Hear(stripe, stripe.Keys.Find(key), region) is not { } backlog)
            {
                var isFound = _store.TryFind(key, out var record, out var word);
                arrived = new ArrivedRecord(record, word, Held: null);
                return isFound;
            }

            arrived = new ArrivedRecord(backlog.Visible.Record, Word: 0, Held: null);
            if (backlog.Count > 0 && ReplicationFeed.IsStalenessObserved)
            {
                staleTicks = Math.Max(1, _clock.NowTicks - backlog.OldestWrittenTicks);
            }
        }

        if (staleTicks > 0)
        {
            _feed.ReportStaleRead(region, staleTicks);
        }

        return !arrived.Record.IsNone;
    }

    /// <summary>
    /// Adds all keys with a prefix and after a key of which a region sees something other than the engine, and what it sees.
    /// </summary>
    public void Collect(Region region, byte[] prefix, ReadOnlySpan<byte> after, List<(byte[] Key, Record Visible)> results)
    {
        foreach (var stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                foreach (var entry in stripe.Keys.Items)
                {
                    var isAsked = entry[region] is not null && entry.Key.AsSpan().StartsWith(prefix)
                        && (after.IsEmpty || entry.Key.AsSpan().SequenceCompareTo(after) > 0);
                    if (isAsked)
                    {
                        results.Add((entry.Key, entry[region]!.Visible.Record));
                    }
                }
            }
        }
    }

    /// <summary>Lets a mutation arrive.</summary>
    /// <returns>False when it is no longer on its way, or at another time.</returns>
    public bool Arrive(in ArrivalSchedule.Ticket ticket, long heardTicks)
    {
        var stripe = StripeOf(ticket.Key.Hash);
        lock (stripe.Gate)
        {
            if (ticket.Key[ticket.Region] is not { } backlog || !backlog.Expects(ticket.Mutation, ticket.DueTicks))
            {
                return false;
            }

            _transit.Show(ticket.Key, ticket.Region, backlog, ticket.Mutation, heardTicks);
            LandIfEmpty(stripe, ticket.Key, ticket.Region);
            return true;
        }
    }

    /// <summary>Holds up what can't get through any more, and lets set out anew what can again.</summary>
    public void Reroute()
    {
        var nowTicks = _clock.NowTicks;
        foreach (var stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                foreach (var entry in stripe.Keys.Items)
                {
                    _transit.Reroute(entry, nowTicks);
                }
            }
        }
    }

    private Stripe StripeOf(ulong hash) => _stripes[HashIndex.ShardOf(hash)];

    private bool Publish(Departure departure, InFlightKey entry, Record after, long revision, bool isNewest)
    {
        var origin = departure.Origin;
        var newest = entry.Newest;
        var stamp = StampOf(origin, entry, departure.WrittenTicks);
        var wins = isNewest && (departure.Wins ?? stamp >= newest.Stamp);
        var mutation = new InFlightMutation
        {
            Record = after,
            Held = Hold(after),
            Stamp = wins ? Math.Max(stamp, newest.Stamp) : Math.Min(stamp, isNewest ? newest.Stamp - 1 : newest.Stamp),
            Revision = revision,
            Departure = departure,
        };
        mutation.Retain();
        foreach (var region in _regions)
        {
            _transit.Send(mutation, entry, region, wins);
        }

        if (wins)
        {
            entry.Newest = mutation;
        }

        // Where no region waits for it, nobody needs its value.
        mutation.Release();
        return wins;
    }

    // The time of the region's clock, but not before what it has heard of the key.
    private static long StampOf(Region origin, InFlightKey entry, long nowTicks) =>
        Math.Max(nowTicks + origin.SkewTicks, (entry[origin]?.Visible ?? entry.Newest).Stamp);

    private KvLargeValue? Hold(Record record) => !record.IsNone && record.IsLarge ? _largeValues.TryHold(record.LargeValue) : null;

    // The key, with what is due by now applied everywhere; null when then nothing is in flight any more.
    private InFlightKey? Hear(Stripe stripe, InFlightKey? entry)
    {
        if (entry is null)
        {
            return null;
        }

        foreach (var region in _regions)
        {
            _ = Hear(stripe, entry, region);
        }

        return entry.IsSettled ? null : entry;
    }

    // The region's backlog, with what is due by now applied; null when then there is none.
    private Backlog? Hear(Stripe stripe, InFlightKey? entry, Region region)
    {
        if (entry?[region] is not { } backlog)
        {
            return null;
        }

        _transit.Hear(entry, region, backlog);
        LandIfEmpty(stripe, entry, region);
        return entry[region];
    }

    private static void LandIfEmpty(Stripe stripe, InFlightKey entry, Region region)
    {
        // Before the newest is published, the engine still has what came before it, which the region may never have seen.
        if (entry[region] is { Count: 0 } && entry.Newest.Departure is null or { IsPublished: true })
        {
            entry[region] = null;
            if (entry.IsSettled)
            {
                stripe.Keys.Remove(entry);
                entry.Leave();
            }
        }
    }

    /// <summary>The keys in flight of one of the engine's shards.</summary>
    private sealed class Stripe
    {
        private long _lastTicks;

        public Lock Gate { get; } = new();

        public KeyTable<InFlightKey> Keys { get; } = new();

        /// <summary>The time of a mutation: never before that of the last one, though the clock be set back.</summary>
        public long Tick(long nowTicks) => _lastTicks = Math.Max(_lastTicks, nowTicks);
    }
}
