using KvStore.Expiry;
using KvStore.Memory;
using KvStore.Values;

namespace KvStore.Replication;

/// <summary>
/// The mutations that are on their way from region to region: sends them off, and lets them arrive when they are due, or
/// when somebody steps them by hand.
/// </summary>
/// <remarks>
/// What is due is applied by whoever comes first: a read of the key, or a sweep. The one timer starts a sweep, as do a
/// listing and whoever asks how much is pending. A sweep goes by time, so that a trace is the same in every process.
/// Thread safety: all members, from any thread. The lock of the sweep is taken before any of <see cref="InFlightTable"/>.
/// </remarks>
internal sealed class ReplicationQueue : IDisposable
{
    private readonly ReplicationClock _clock;
    private readonly IKvLagModel _lag;
    private readonly ArrivalSchedule _schedule;
    private readonly ConvergenceSignal _convergence = new();
    private readonly Lock _sweeping = new();
    private long _mutationCount;

    public ReplicationQueue(
        ShardedStore store,
        CoarseClock expiry,
        TimeProvider timeProvider,
        IKvLagModel lag,
        IReadOnlyList<Region> regions,
        ReplicationFeed feed,
        LargeValueLeases largeValues)
    {
        _clock = new ReplicationClock(timeProvider);
        _lag = lag;
        _schedule = new ArrivalSchedule(timeProvider, Sweep);
        Regions = regions;
        var transit = new Transit(_clock, regions, _schedule, _convergence, feed);
        InFlight = new InFlightTable(store, expiry, _clock, regions, transit, feed, largeValues);
    }

    /// <summary>The regions, by their index.</summary>
    public IReadOnlyList<Region> Regions { get; }

    /// <summary>What regions have not heard yet.</summary>
    public InFlightTable InFlight { get; }

    /// <summary>The time.</summary>
    public long NowTicks => _clock.NowTicks;

    /// <summary>Whether nothing arrives by itself.</summary>
    public bool IsPaused => _clock.IsPaused;

    /// <summary>How many mutations are on their way, counted once for each region that has not heard.</summary>
    public long PendingCount
    {
        get
        {
            Sweep();
            return _convergence.PendingCount;
        }
    }

    /// <summary>Completes when nothing is on its way.</summary>
    public Task WaitForConvergenceAsync(CancellationToken cancellationToken)
    {
        Sweep();
        return _convergence.WaitAsync(cancellationToken);
    }

    /// <summary>Prepares a mutation: asks the lag model, outside all locks.</summary>
    /// <exception cref="InvalidOperationException">The lag model gave a negative lag.</exception>
    public Departure Depart(Region origin, RegionCache? cache)
    {
        var number = Interlocked.Increment(ref _mutationCount);
        var lagTicks = new long[Regions.Count];
        foreach (var to in Regions)
        {
            if (to != origin)
            {
                var lag = _lag.GetLag(origin.Name, to.Name, number);
                lagTicks[to.Index] = lag >= TimeSpan.Zero
                    ? lag.Ticks
                    : throw new InvalidOperationException(
                        $"The lag model gave {lag} from \"{origin.Name}\" to \"{to.Name}\"; it must be zero or more.");
            }
        }

        return new Departure(InFlight, origin, cache, number, lagTicks);
    }

    /// <summary>Applies everything that is due.</summary>
    public void Sweep()
    {
        lock (_sweeping)
        {
            while (_schedule.TryTake(_clock.HorizonTicks, out var ticket))
            {
                InFlight.Arrive(ticket, _clock.HeardTicks(ticket.DueTicks));
            }
        }
    }

    /// <summary>Lets nothing arrive by itself from now on.</summary>
    public void Pause()
    {
        lock (_sweeping)
        {
            Sweep();
            _clock.Pause();
            _schedule.IsSuspended = true;
        }
    }

    /// <summary>Lets the next arrival happen, whatever the time.</summary>
    /// <returns>What happened; null when nothing is on its way that could arrive.</returns>
    public KvReplicationEvent? Step()
    {
        lock (_sweeping)
        {
            var nowTicks = NowTicks;
            while (_schedule.TryTake(Backlog.Held - 1, out var ticket))
            {
                if (InFlight.Arrive(ticket, nowTicks))
                {
                    return ReplicationFeed.ToEvent(ticket.Key.Key, ticket.Mutation, ticket.Region, KvReplicationOutcome.Visible, nowTicks);
                }
            }

            return null;
        }
    }

    /// <summary>Lets everything arrive again; what was due meanwhile, at once.</summary>
    public void Resume()
    {
        lock (_sweeping)
        {
            if (IsPaused)
            {
                _clock.Resume();
                Sweep();
                _schedule.IsSuspended = false;
            }
        }
    }

    /// <summary>Cuts a region off, or connects it again. What is on its way to or from it waits, and then sets out anew.</summary>
    public void SetCutOff(Region region, bool isCutOff)
    {
        lock (_sweeping)
        {
            Sweep();
            if (region.IsCutOff != isCutOff)
            {
                region.IsCutOff = isCutOff;
                InFlight.Reroute();
                Sweep();
            }
        }
    }

    public void Dispose() => _schedule.Dispose();
}
