using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>What one region has yet to hear about one key, and what it sees of it until then.</summary>
/// <remarks>Thread safety: none; it is changed and read under the lock of its key's stripe.</remarks>
internal sealed class Backlog
{
    /// <summary>The time of an arrival that waits for a region to be connected again.</summary>
    public const long Held = long.MaxValue;

    // From the oldest mutation to the newest, all newer than what is visible.
    private readonly List<Arrival> _upcoming = new(1);

    /// <summary>What the region sees. Requires: <see cref="Begin"/> was called.</summary>
    public InFlightMutation Visible { get; private set; } = null!;

    /// <summary>How much is on its way.</summary>
    public int Count => _upcoming.Count;

    /// <summary>The first time at which something changes.</summary>
    public long NextDueTicks { get; private set; } = Held;

    /// <summary>When the oldest mutation on its way was made.</summary>
    public long OldestWrittenTicks => _upcoming.Min(arrival => arrival.Mutation.Departure!.WrittenTicks);

    /// <summary>Begins with what the region sees. Apart from the constructor, which takes the memory and may be for nothing.</summary>
    public void Begin(InFlightMutation visible)
    {
        Debug.Assert(Visible is null, "It begins once.");
        Visible = visible;
        visible.Retain();
    }

    /// <summary>Takes the memory that the next <see cref="Add"/> needs.</summary>
    public void Reserve()
    {
        AllocationProbe.Before();
        _upcoming.EnsureCapacity(_upcoming.Count + 1);
    }

    /// <summary>Adds what is newer than what is visible. Allocates nothing after <see cref="Reserve"/>.</summary>
    public void Add(InFlightMutation mutation, long dueTicks)
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
            if (order < 0 || (order == 0 && arrival.Mutation.Departure!.Number < next.Mutation.Departure!.Number))
            {
                next = arrival;
            }
        }

        return true;
    }

    /// <summary>Whether a mutation is still on its way, for this time.</summary>
    public bool Expects(InFlightMutation mutation, long dueTicks)
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

    /// <summary>One of those on their way, from the oldest to the newest.</summary>
    public InFlightMutation Upcoming(int index) => _upcoming[index].Mutation;

    /// <summary>How many of those on their way are not newer than a mutation; 0 when that is not newer than what is visible.</summary>
    public int CountHeardWith(InFlightMutation mutation)
    {
        var heard = 0;
        if (mutation.IsNewerThan(Visible))
        {
            while (heard < _upcoming.Count && !_upcoming[heard].Mutation.IsNewerThan(mutation))
            {
                heard++;
            }
        }

        return heard;
    }

    /// <summary>Makes a mutation visible, if it is newer, and forgets what is not newer than it. Allocates nothing.</summary>
    /// <param name="mutation">The mutation, on its way or made here.</param>
    /// <returns>How many are no longer on their way.</returns>
    public int Show(InFlightMutation mutation)
    {
        if (!mutation.IsNewerThan(Visible))
        {
            return 0;
        }

        var heard = CountHeardWith(mutation);
        mutation.Retain();
        Visible.Release();
        Visible = mutation;
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

    /// <summary>When one of those on their way arrives.</summary>
    public long DueTicksOf(int index) => _upcoming[index].DueTicks;

    /// <summary>Gives one of those on their way another time.</summary>
    public void Reschedule(int index, long dueTicks)
    {
        _upcoming[index] = _upcoming[index] with { DueTicks = dueTicks };
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
    public readonly record struct Arrival(InFlightMutation Mutation, long DueTicks);
}
