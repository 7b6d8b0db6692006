namespace KvStore.Replication;

/// <summary>What one region has yet to hear about one key, and what it sees of it until then.</summary>
/// <remarks>Thread safety: none; it is changed and read under the lock of its key's stripe.</remarks>
internal sealed class Backlog
{
    /// <summary>The time of an arrival that waits for a region to be connected again.</summary>
    public const long Held = long.MaxValue;

    // From the oldest mutation to the newest, all newer than what is visible.
    private readonly List<Arrival> _upcoming = new(1);

    public Backlog(PendingWrite visible)
    {
        Visible = visible;
        visible.Retain();
    }

    /// <summary>What the region sees.</summary>
    public PendingWrite Visible { get; private set; }

    /// <summary>How much is on its way.</summary>
    public int Count => _upcoming.Count;

    /// <summary>The first time at which something changes.</summary>
    public long NextDueTicks { get; private set; } = Held;

    /// <summary>When the oldest mutation on its way was made.</summary>
    public long OldestWrittenTicks => _upcoming.Min(arrival => arrival.Mutation.ReplicatedWrite!.WrittenTicks);

    /// <summary>Adds what is newer than what is visible.</summary>
    public void Add(PendingWrite mutation, long dueTicks)
    {
        var at = _upcoming.Count;
        while (at > 0 && _upcoming[at - 1].Mutation.IsNewerThan(mutation))
        {
            at--;
        }

        _upcoming.Insert(at, new Arrival(mutation, dueTicks));
        mutation.Retain();
        NextDueTicks = Math.Min(NextDueTicks, dueTicks);
    }

    /// <summary>Finds the arrival that is due first, if it is by now.</summary>
    public bool TryNextDue(long nowTicks, out Arrival next)
    {
        next = default;
        if (NextDueTicks > nowTicks)
        {
            return false;
        }

        next = _upcoming[0];
        foreach (var arrival in _upcoming)
        {
            var order = arrival.DueTicks.CompareTo(next.DueTicks);
            if (order < 0 || (order == 0 && arrival.Mutation.ReplicatedWrite!.Number < next.Mutation.ReplicatedWrite!.Number))
            {
                next = arrival;
            }
        }

        return true;
    }

    /// <summary>Whether a mutation is still on its way, for this time.</summary>
    public bool Expects(PendingWrite mutation, long dueTicks)
    {
        foreach (var arrival in _upcoming)
        {
            if (ReferenceEquals(arrival.Mutation, mutation))
            {
                return arrival.DueTicks == dueTicks;
            }
        }

        return false;
    }

    /// <summary>Makes a mutation visible, if it is newer, and forgets what is older than it.</summary>
    /// <param name="mutation">The mutation, on its way or made here.</param>
    /// <param name="superseded">Called with each that will never be visible.</param>
    /// <returns>How many are no longer on their way.</returns>
    public int Show(PendingWrite mutation, Action<PendingWrite>? superseded)
    {
        if (!mutation.IsNewerThan(Visible))
        {
            return 0;
        }

        mutation.Retain();
        Visible.Release();
        Visible = mutation;
        var heard = 0;
        while (heard < _upcoming.Count && !_upcoming[heard].Mutation.IsNewerThan(mutation))
        {
            if (superseded is not null && !ReferenceEquals(_upcoming[heard].Mutation, mutation))
            {
                superseded(_upcoming[heard].Mutation);
            }

            heard++;
        }

        for (var i = 0; i < heard; i++)
        {
            _upcoming[i].Mutation.Release();
        }

        _upcoming.RemoveRange(0, heard);
        FindNextDue();
        return heard;
    }

    /// <summary>The region has heard everything: it lets go of what it keeps.</summary>
    public void Leave()
    {
        Visible.Release();
        foreach (var arrival in _upcoming)
        {
            arrival.Mutation.Release();
        }
    }

    /// <summary>Gives arrivals another time.</summary>
    /// <param name="dueTicksOf">The time of an arrival.</param>
    public void Reschedule(Func<Arrival, long> dueTicksOf)
    {
        for (var i = 0; i < _upcoming.Count; i++)
        {
            _upcoming[i] = _upcoming[i] with { DueTicks = dueTicksOf(_upcoming[i]) };
        }

        FindNextDue();
    }

    private void FindNextDue()
    {
        NextDueTicks = Held;
        foreach (var arrival in _upcoming)
        {
            NextDueTicks = Math.Min(NextDueTicks, arrival.DueTicks);
        }
    }

    /// <summary>A mutation and the time at which it arrives.</summary>
    public readonly record struct Arrival(PendingWrite Mutation, long DueTicks);
}
