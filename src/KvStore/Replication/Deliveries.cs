namespace KvStore.Replication;

/// <summary>How mutations of a key set out for regions, arrive there, and are held up on their way.</summary>
/// <remarks>Thread safety: every member is for the holder of the lock of the key's stripe, except where it says otherwise.</remarks>
internal sealed class Deliveries(
    ReplicationClock clock, IReadOnlyList<Region> regions, DeliverySchedule schedule, ConvergenceSignal convergence, ReplicationEvents feed)
{
    /// <summary>Whether a mutation is not visible everywhere at once. From any thread.</summary>
    public bool IsDelayed(ReplicatedWrite replicated)
    {
        foreach (var region in regions)
        {
            var isDelayed = clock.IsPaused || IsBlocked(replicated.Origin, region) || replicated.DueTicks(region, startTicks: 0) > 0;
            if (isDelayed && region != replicated.Origin)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Sends a mutation to a region, where it is visible at once if it is made there.</summary>
    public void Send(PendingWrite mutation, PendingKey entry, Region region, bool wins)
    {
        var replicated = mutation.ReplicatedWrite!;
        var nowTicks = replicated.WrittenTicks;
        var dueTicks = region == replicated.Origin ? nowTicks
            : IsBlocked(replicated.Origin, region) ? Backlog.Held
            : replicated.DueTicks(region, nowTicks);
        var isAtOnce = region == replicated.Origin || (dueTicks <= nowTicks && !clock.IsPaused);
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

    /// <summary>Lets everything arrive that is due by now.</summary>
    public void Hear(PendingKey entry, Region region, Backlog backlog)
    {
        var horizonTicks = clock.HorizonTicks;
        while (backlog.TryNextDue(horizonTicks, out var next))
        {
            Show(entry, region, backlog, next.Mutation, clock.HeardTicks(next.DueTicks));
        }
    }

    /// <summary>Makes a mutation visible in a region.</summary>
    public void Show(PendingKey entry, Region region, Backlog backlog, PendingWrite mutation, long heardTicks)
    {
        var heard = backlog.Show(
            mutation,
            feed.IsObserved ? older => Report(entry, older, region, KvReplicationOutcome.Superseded, heardTicks) : null);
        CountPending(region, -heard);
        Report(entry, mutation, region, KvReplicationOutcome.Visible, heardTicks);
    }

    /// <summary>Holds up what can't get through any more, and lets set out anew what can again.</summary>
    public void Reroute(PendingKey entry, long nowTicks)
    {
        foreach (var region in regions)
        {
            entry[region]?.Reschedule(arrival =>
            {
                var replicated = arrival.Mutation.ReplicatedWrite!;
                if (IsBlocked(replicated.Origin, region))
                {
                    return Backlog.Held;
                }

                if (arrival.DueTicks != Backlog.Held)
                {
                    return arrival.DueTicks;
                }

                var dueTicks = replicated.DueTicks(region, nowTicks);
                Schedule(entry, region, arrival.Mutation, dueTicks);
                return dueTicks;
            });
        }
    }

    private void Schedule(PendingKey entry, Region region, PendingWrite mutation, long dueTicks)
    {
        if (dueTicks != Backlog.Held)
        {
            schedule.Add(new DeliverySchedule.Delivery(entry, region, mutation, dueTicks));
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

    private void Report(PendingKey entry, PendingWrite mutation, Region to, KvReplicationOutcome outcome, long heardTicks)
    {
        if (to != mutation.ReplicatedWrite!.Origin)
        {
            feed.Report(entry.Key, mutation, to, outcome, heardTicks);
        }
    }

    private static bool IsBlocked(Region from, Region to) => from.IsCutOff || to.IsCutOff;
}
