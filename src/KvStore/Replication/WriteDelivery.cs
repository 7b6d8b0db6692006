using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>How writes are sent to regions, delivered there, and held back by a partition.</summary>
/// <remarks>
/// Thread safety: <see cref="Originate"/> and <see cref="IsDelayed"/> from any thread; the other members only while holding the lock
/// of the key's stripe.
/// </remarks>
internal sealed class WriteDelivery(
    DeliverySchedule schedule, IKvLagModel lagModel, Region[] regions, ReplicationEvents events)
{
    private const int RegionsOnStack = 32;
    private const long AtOnce = long.MinValue;

    private long _writeCount;

    /// <summary>Numbers a write, and asks the lag model. Call outside all locks: the model is the user's code.</summary>
    /// <exception cref="InvalidOperationException">The lag model returned a negative lag.</exception>
    public WriteOrigin Originate(Region origin)
    {
        AllocationProbe.Before();
        var lagTicks = new long[regions.Length];
        var number = Interlocked.Increment(ref _writeCount);
        foreach (var to in regions)
        {
            if (to != origin)
            {
                var lag = lagModel.GetLag(origin.Name, to.Name, number);
                lagTicks[to.Index] = lag >= TimeSpan.Zero
                    ? lag.Ticks
                    : throw new InvalidOperationException(
                        $"The lag model gave {lag} from \"{origin.Name}\" to \"{to.Name}\"; it must be zero or more.");
            }
        }

        return new WriteOrigin(origin, number, lagTicks);
    }

    /// <summary>Whether some region does not receive a write at once.</summary>
    public bool IsDelayed(in WriteOrigin origin)
    {
        foreach (var region in regions)
        {
            if (region != origin.Region && (schedule.IsPaused || IsBlocked(origin.Region, region) || origin.DueTicks(region, sentTicks: 0) > 0))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Sends a write to every region. A region that receives the write at once shows it from now on, or from the publication on. When this
    /// method throws, no region has more to receive than before, but some may have a backlog without deliveries.
    /// </summary>
    public void Send(PendingKey key, PendingWrite write, bool wins)
    {
        // A region may be partitioned, and the schedule paused, at any time, so each time is computed once.
        var dueTicks = regions.Length <= RegionsOnStack ? stackalloc long[RegionsOnStack] : new long[regions.Length];
        foreach (var region in regions)
        {
            dueTicks[region.Index] = DueTicks(write, region);
            Prepare(key, write, region, dueTicks[region.Index], wins);
        }

        foreach (var region in regions)
        {
            Send(key, write, region, dueTicks[region.Index], wins);
        }
    }

    /// <summary>Makes the deliveries to a region that are due.</summary>
    public void DeliverDue(PendingKey key, Region region, Backlog backlog)
    {
        var horizonTicks = schedule.HorizonTicks;
        while (backlog.TryNextDue(horizonTicks, out var next))
        {
            Deliver(key, region, backlog, next.Write, schedule.DeliveredTicks(next.DueTicks));
        }
    }

    /// <summary>Makes a write visible in a region. Cannot fail.</summary>
    public void Deliver(PendingKey key, Region region, Backlog backlog, PendingWrite write, long deliveredTicks)
    {
        if (events.IsObserved)
        {
            for (var i = 0; i < backlog.Count && !backlog[i].Write.IsNewerThan(write); i++)
            {
                if (!ReferenceEquals(backlog[i].Write, write))
                {
                    Report(key, backlog[i].Write, region, KvReplicationOutcome.Superseded, deliveredTicks);
                }
            }
        }

        AddPending(region, -backlog.Deliver(write));
        Report(key, write, region, KvReplicationOutcome.Visible, deliveredTicks);
    }

    /// <summary>
    /// Holds back the deliveries that a partition blocks, and sends again, with the whole lag, those that none blocks any more. When
    /// it throws, it was done for some deliveries; holding back never throws.
    /// </summary>
    public void Reroute(PendingKey key, long nowTicks)
    {
        foreach (var region in regions)
        {
            if (key[region] is not { } backlog)
            {
                continue;
            }

            for (var i = 0; i < backlog.Count; i++)
            {
                var (write, dueTicks) = backlog[i];
                if (IsBlocked(write.Origin.Region, region))
                {
                    backlog.Reschedule(i, WriteOrigin.HeldBack);
                }
                else if (dueTicks == WriteOrigin.HeldBack)
                {
                    var newDueTicks = write.Origin.DueTicks(region, nowTicks);
                    Schedule(key, write, region, newDueTicks);
                    backlog.Reschedule(i, newDueTicks);
                }
            }
        }
    }

    private static bool IsBlocked(Region from, Region to) => from.IsCutOff || to.IsCutOff;

    private long DueTicks(PendingWrite write, Region region)
    {
        var origin = write.Origin.Region;
        var dueTicks = region == origin ? AtOnce
            : IsBlocked(origin, region) ? WriteOrigin.HeldBack
            : write.Origin.DueTicks(region, write.WrittenTicks);
        return dueTicks <= write.WrittenTicks && (region == origin || !schedule.IsPaused) ? AtOnce : dueTicks;
    }

    // Takes the memory for the step that follows, so that it cannot fail. A delivery that is scheduled and never sent is void.
    private void Prepare(PendingKey key, PendingWrite write, Region region, long dueTicks, bool wins)
    {
        var backlog = key[region];
        var isPending = dueTicks != AtOnce && (backlog is null ? wins : write.IsNewerThan(backlog.Visible));
        if (!isPending)
        {
            return;
        }

        AllocationProbe.Before();
        backlog ??= key[region] = new Backlog(key.Newest);
        AllocationProbe.Before();
        backlog.Reserve();
        Schedule(key, write, region, dueTicks);
    }

    private void Send(PendingKey key, PendingWrite write, Region region, long dueTicks, bool wins)
    {
        if (key[region] is not { } backlog)
        {
            Report(key, write, region, wins ? KvReplicationOutcome.Visible : KvReplicationOutcome.Superseded, write.WrittenTicks);
        }
        else if (!write.IsNewerThan(backlog.Visible))
        {
            Report(key, write, region, KvReplicationOutcome.Superseded, write.WrittenTicks);
        }
        else if (dueTicks == AtOnce)
        {
            Deliver(key, region, backlog, write, write.WrittenTicks);
        }
        else
        {
            backlog.Add(write, dueTicks);
            AddPending(region, 1);
        }
    }

    private void Schedule(PendingKey key, PendingWrite write, Region region, long dueTicks)
    {
        if (dueTicks != WriteOrigin.HeldBack)
        {
            schedule.Add(new Delivery(key, write, region, dueTicks));
        }
    }

    private void AddPending(Region region, int change)
    {
        if (change != 0)
        {
            region.AddPending(change);
            schedule.AddPending(change);
        }
    }

    private void Report(PendingKey key, PendingWrite write, Region to, KvReplicationOutcome outcome, long deliveredTicks)
    {
        if (to != write.Origin.Region)
        {
            events.Report(key.Key, write, to, outcome, deliveredTicks);
        }
    }
}
