using KvStore.Engine;
using KvStore.Keys;

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
    private readonly ReplicationClock _clock;
    private readonly IReadOnlyList<Region> _regions;
    private readonly ArrivalSchedule _schedule;
    private readonly ConvergenceSignal _convergence;
    private readonly ReplicationFeed _feed;
    private readonly Stripe[] _stripes = new Stripe[HashIndex.ShardCount];

    public InFlightTable(
        ShardedStore store,
        ReplicationClock clock,
        IReadOnlyList<Region> regions,
        ArrivalSchedule schedule,
        ConvergenceSignal convergence,
        ReplicationFeed feed)
    {
        _store = store;
        _clock = clock;
        _regions = regions;
        _schedule = schedule;
        _convergence = convergence;
        _feed = feed;
        for (var i = 0; i < _stripes.Length; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>How many keys are in flight.</summary>
    public int KeyCount => _stripes.Sum(static stripe => stripe.Keys.Count);

    /// <summary>Puts a mutation on its way. Called under the lock of the key's shard, before readers of the engine see it.</summary>
    /// <returns>Whether it wins, and becomes the engine's.</returns>
    public bool Publish(
        Departure departure, ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest)
    {
        var stripe = StripeOf(hash);
        lock (stripe.Gate)
        {
            departure.WrittenTicks = stripe.LastTicks = Math.Max(stripe.LastTicks, _clock.NowTicks);
            var entry = Hear(stripe, stripe.Keys.Find(new Utf8Key(key, hash)));
            if (entry is null)
            {
                if (!isNewest || (before.IsNone && after.IsNone))
                {
                    return isNewest;
                }

                if (!IsDelayed(departure))
                {
                    _feed.ReportAtOnce(key, after, revision, departure, _regions);
                    return true;
                }

                entry = new InFlightKey(key.ToArray(), hash, _regions.Count, InFlightMutation.Standing(before));
                stripe.Keys.Add(entry);
            }

            departure.InFlight = entry;
            return Publish(departure, entry, after, revision, isNewest);
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
    /// <param name="record">The record.</param>
    /// <param name="word">Its word in the index; 0 when it is not from there, and then it may have expired.</param>
    /// <returns>Whether there is a value.</returns>
    public bool TryFind<TKey>(Region region, in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct
    {
        var stripe = StripeOf(key.Hash);
        var staleTicks = 0L;
        lock (stripe.Gate)
        {
            if (Hear(stripe, stripe.Keys.Find(key), region) is not { } backlog)
            {
                return _store.TryFind(key, out record, out word);
            }

            record = backlog.Visible.Record;
            word = 0;
            if (backlog.Count > 0 && ReplicationFeed.IsStalenessObserved)
            {
                staleTicks = Math.Max(1, _clock.NowTicks - backlog.OldestWrittenTicks);
            }
        }

        if (staleTicks > 0)
        {
            _feed.ReportStaleRead(region, staleTicks);
        }

        return !record.IsNone;
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

            Show(ticket.Key, ticket.Region, backlog, ticket.Mutation, heardTicks);
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
                    Reroute(entry, nowTicks);
                }
            }
        }
    }

    private Stripe StripeOf(ulong hash) => _stripes[HashIndex.ShardOf(hash)];

    private static bool IsBlocked(Region from, Region to) => from.IsCutOff || to.IsCutOff;

    private bool IsDelayed(Departure departure)
    {
        foreach (var region in _regions)
        {
            var isDelayed = _clock.IsPaused || IsBlocked(departure.Origin, region) || departure.DueTicks(region, startTicks: 0) > 0;
            if (isDelayed && region != departure.Origin)
            {
                return true;
            }
        }

        return false;
    }

    private bool Publish(Departure departure, InFlightKey entry, Record after, long revision, bool isNewest)
    {
        var origin = departure.Origin;
        var newest = entry.Newest;
        var heard = entry[origin]?.Visible ?? newest;
        var stamp = Math.Max(departure.WrittenTicks + origin.SkewTicks, heard.Stamp);
        var wins = isNewest && stamp >= newest.Stamp;
        var mutation = new InFlightMutation
        {
            Record = after,
            Stamp = isNewest ? stamp : Math.Min(stamp, newest.Stamp),
            Revision = revision,
            Departure = departure,
        };
        foreach (var region in _regions)
        {
            Send(mutation, entry, region, wins);
        }

        if (wins)
        {
            entry.Newest = mutation;
        }

        return wins;
    }

    private void Send(InFlightMutation mutation, InFlightKey entry, Region region, bool wins)
    {
        var departure = mutation.Departure!;
        var nowTicks = departure.WrittenTicks;
        var dueTicks = region == departure.Origin ? nowTicks
            : IsBlocked(departure.Origin, region) ? Backlog.Held
            : departure.DueTicks(region, nowTicks);
        var isAtOnce = region == departure.Origin || (dueTicks <= nowTicks && !_clock.IsPaused);
        var backlog = entry[region];
        if (backlog is null && wins && isAtOnce)
        {
            Report(entry, mutation, region, KvReplicationOutcome.Visible, nowTicks);
            return;
        }

        if (backlog is null ? !wins : !mutation.IsNewerThan(backlog.Visible))
        {
            Report(entry, mutation, region, KvReplicationOutcome.Superseded, nowTicks);
            return;
        }

        backlog ??= entry[region] = new Backlog(entry.Newest);
        if (isAtOnce)
        {
            Show(entry, region, backlog, mutation, nowTicks);
            return;
        }

        backlog.Add(mutation, dueTicks);
        CountPending(region, 1);
        Schedule(entry, region, mutation, dueTicks);
    }

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

        var horizonTicks = _clock.HorizonTicks;
        while (backlog.TryNextDue(horizonTicks, out var next))
        {
            Show(entry, region, backlog, next.Mutation, _clock.HeardTicks(next.DueTicks));
        }

        LandIfEmpty(stripe, entry, region);
        return entry[region];
    }

    private void Show(InFlightKey entry, Region region, Backlog backlog, InFlightMutation mutation, long heardTicks)
    {
        var heard = backlog.Show(
            mutation,
            _feed.IsObserved ? older => Report(entry, older, region, KvReplicationOutcome.Superseded, heardTicks) : null);
        CountPending(region, -heard);
        Report(entry, mutation, region, KvReplicationOutcome.Visible, heardTicks);
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
            }
        }
    }

    private void Reroute(InFlightKey entry, long nowTicks)
    {
        foreach (var region in _regions)
        {
            entry[region]?.Reschedule(arrival =>
            {
                var departure = arrival.Mutation.Departure!;
                if (IsBlocked(departure.Origin, region))
                {
                    return Backlog.Held;
                }

                if (arrival.DueTicks != Backlog.Held)
                {
                    return arrival.DueTicks;
                }

                var dueTicks = departure.DueTicks(region, nowTicks);
                Schedule(entry, region, arrival.Mutation, dueTicks);
                return dueTicks;
            });
        }
    }

    private void Schedule(InFlightKey entry, Region region, InFlightMutation mutation, long dueTicks)
    {
        if (dueTicks != Backlog.Held)
        {
            _schedule.Add(new ArrivalSchedule.Ticket(entry, region, mutation, dueTicks));
        }
    }

    private void CountPending(Region region, int change)
    {
        if (change != 0)
        {
            region.CountPending(change);
            _convergence.Count(change);
        }
    }

    private void Report(InFlightKey entry, InFlightMutation mutation, Region to, KvReplicationOutcome outcome, long heardTicks)
    {
        if (to != mutation.Departure!.Origin)
        {
            _feed.Report(entry.Key, mutation, to, outcome, heardTicks);
        }
    }

    /// <summary>The keys in flight of one of the engine's shards.</summary>
    private sealed class Stripe
    {
        public Lock Gate { get; } = new();

        public KeyTable<InFlightKey> Keys { get; } = new();

        /// <summary>The time of the last mutation: the next one is never stamped earlier, though the clock be set back.</summary>
        public long LastTicks { get; set; }
    }
}
