using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>How mutations of a key set out for regions, arrive there, and are held up on their way.</summary>
/// <remarks>Thread safety: every member is for the holder of the lock of the key's stripe, except where it says otherwise.</remarks>
internal sealed class Transit(
    ReplicationClock clock, Region[] regions, ArrivalSchedule schedule, ConvergenceSignal convergence, ReplicationFeed feed)
{
    /// <summary>Whether a mutation is not visible everywhere at once. From any thread.</summary>
    public bool IsDelayed(Departure departure)
    {
        foreach (var region in regions)
        {
            var isDelayed = clock.IsPaused || IsBlocked(departure.Origin, region) || departure.DueTicks(region, startTicks: 0) > 0;
            if (isDelayed && region != departure.Origin)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Decides how a mutation gets to each region, and takes all the memory for that: nothing changes, and <see cref="Send"/>
    /// allocates nothing.
    /// </summary>
    public void Prepare(Departure departure, InFlightKey entry, bool wins)
    {
        AllocationProbe.Before();
        var routes = new Route[regions.Length];
        var scheduled = 0;
        foreach (var region in regions)
        {
            var nowTicks = departure.WrittenTicks;
            var dueTicks = region == departure.Origin ? nowTicks
                : IsBlocked(departure.Origin, region) ? Backlog.Held
                : departure.DueTicks(region, nowTicks);
            var isAtOnce = region == departure.Origin || (dueTicks <= nowTicks && !clock.IsPaused);
            Backlog? spare = null;
            if (entry[region] is { } backlog)
            {
                if (!isAtOnce)
                {
                    backlog.Reserve();
                }
            }
            else if (wins && !isAtOnce)
            {
                AllocationProbe.Before();
                spare = new Backlog();
            }

            routes[region.Index] = new Route(dueTicks, isAtOnce, spare);
            scheduled += routes[region.Index].IsScheduled ? 1 : 0;
        }

        schedule.Reserve(scheduled);
        departure.Routes = routes;
    }

    /// <summary>What was prepared is not sent.</summary>
    public void GiveUp(Departure departure)
    {
        var scheduled = 0;
        foreach (var route in departure.Routes!)
        {
            scheduled += route.IsScheduled ? 1 : 0;
        }

        schedule.Release(scheduled);
        departure.Routes = null;
    }

    /// <summary>Sends a mutation to a region, where it is visible at once if it is made there. Requires: <see cref="Prepare"/>.</summary>
    public void Send(InFlightMutation mutation, InFlightKey entry, Region region, bool wins)
    {
        var departure = mutation.Departure!;
        var route = departure.Routes![region.Index];
        var nowTicks = departure.WrittenTicks;
        var backlog = entry[region];
        if (backlog is null && wins && route.IsAtOnce)
        {
            Report(entry, mutation, region, KvReplicationOutcome.Visible, nowTicks);
        }
        else if (backlog is null ? !wins : !mutation.IsNewerThan(backlog.Visible))
        {
            if (route.IsScheduled)
            {
                schedule.Release(1);
            }

            Report(entry, mutation, region, KvReplicationOutcome.Superseded, nowTicks);
        }
        else if (route.IsAtOnce)
        {
            Show(entry, region, backlog!, mutation, nowTicks);
        }
        else
        {
            if (backlog is null)
            {
                backlog = route.Spare!;
                backlog.Begin(entry.Newest);
                entry[region] = backlog;
            }

            backlog.Add(mutation, route.DueTicks);
            CountPending(region, 1);
            if (route.IsScheduled)
            {
                schedule.Add(new ArrivalSchedule.Ticket(entry, region, mutation, route.DueTicks));
            }
        }
    }

    /// <summary>Lets everything arrive that is due by now.</summary>
    public void Hear(InFlightKey entry, Region region, Backlog backlog)
    {
        var horizonTicks = clock.HorizonTicks;
        while (backlog.TryNextDue(horizonTicks, out var next))
        {
            Show(entry, region, backlog, next.Mutation, clock.HeardTicks(next.DueTicks));
        }
    }

    /// <summary>Makes a mutation visible in a region. Throws nothing.</summary>
    public void Show(InFlightKey entry, Region region, Backlog backlog, InFlightMutation mutation, long heardTicks)
    {
        if (feed.IsObserved)
        {
            var superseded = backlog.CountHeardWith(mutation);
            for (var i = 0; i < superseded; i++)
            {
                if (backlog.Upcoming(i) is var older && !ReferenceEquals(older, mutation))
                {
                    Report(entry, older, region, KvReplicationOutcome.Superseded, heardTicks);
                }
            }
        }

        CountPending(region, -backlog.Show(mutation));
        Report(entry, mutation, region, KvReplicationOutcome.Visible, heardTicks);
    }

    /// <summary>
    /// Holds up what can't get through any more, and lets set out anew what can again. Where memory is short it stops between two
    /// mutations, and can be called again.
    /// </summary>
    public void Reroute(InFlightKey entry, long nowTicks)
    {
        foreach (var region in regions)
        {
            if (entry[region] is not { } backlog)
            {
                continue;
            }

            for (var i = 0; i < backlog.Count; i++)
            {
                var mutation = backlog.Upcoming(i);
                var departure = mutation.Departure!;
                if (IsBlocked(departure.Origin, region))
                {
                    backlog.Reschedule(i, Backlog.Held);
                }
                else if (backlog.DueTicksOf(i) == Backlog.Held && departure.DueTicks(region, nowTicks) is var dueTicks and not Backlog.Held)
                {
                    schedule.Reserve(1);
                    backlog.Reschedule(i, dueTicks);
                    schedule.Add(new ArrivalSchedule.Ticket(entry, region, mutation, dueTicks));
                }
            }
        }
    }

    private void CountPending(Region region, int change)
    {
        if (change != 0)
        {
            region.CountPending(change);
            convergence.Count(change);
        }
    }

    private void Report(InFlightKey entry, InFlightMutation mutation, Region to, KvReplicationOutcome outcome, long heardTicks)
    {
        if (to != mutation.Departure!.Origin)
        {
            feed.Report(entry.Key, mutation, to, outcome, heardTicks);
        }
    }

    private static bool IsBlocked(Region from, Region to) => from.IsCutOff || to.IsCutOff;

    /// <summary>How a mutation gets to a region.</summary>
    /// <param name="DueTicks">When it arrives there.</param>
    /// <param name="IsAtOnce">Whether it is visible there when it is made.</param>
    /// <param name="Spare">Becomes the region's backlog, if that has none.</param>
    internal readonly record struct Route(long DueTicks, bool IsAtOnce, Backlog? Spare)
    {
        /// <summary>Whether it waits for its time.</summary>
        public bool IsScheduled => !IsAtOnce && DueTicks != Backlog.Held;
    }
}
