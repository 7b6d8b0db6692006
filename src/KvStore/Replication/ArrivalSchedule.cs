using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>
/// Everything that is on its way, by the time at which it arrives, and the one timer that waits for the first of it.
/// </summary>
/// <remarks>
/// What was taken off its way meanwhile, because something newer was heard first, stays here until its time and is then
/// found to be void. Ties are broken by the number of the mutation and the place of the region, so that the order is the
/// same in every process. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class ArrivalSchedule : IDisposable
{
    private const int ShrinkFrom = 256;

    // Timers count in milliseconds and may fire a little early; below this they would only spin.
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromDays(1);

    private readonly TimeProvider _timeProvider;
    private readonly Action _onDue;
    private readonly Lock _gate = new();
    private readonly PriorityQueue<Ticket, (long DueTicks, long Number, int Region)> _tickets = new();
    private readonly ITimer _timer;
    private long _armedForTicks = long.MaxValue;
    private int _reserved;
    private bool _isSuspended;

    public ArrivalSchedule(TimeProvider timeProvider, Action onDue)
    {
        _timeProvider = timeProvider;
        _onDue = onDue;
        _timer = timeProvider.CreateTimer(
            static schedule => ((ArrivalSchedule)schedule!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether the timer waits for nothing.</summary>
    public bool IsSuspended
    {
        set
        {
            lock (_gate)
            {
                _isSuspended = value;
                ArmHoldingGate();
            }
        }
    }

    /// <summary>Takes the memory that so many arrivals need. Each of them is then added, or given back by <see cref="Release"/>.</summary>
    public void Reserve(int count)
    {
        AllocationProbe.Before();
        lock (_gate)
        {
            _tickets.EnsureCapacity(_tickets.Count + _reserved + count);
            _reserved += count;
        }
    }

    /// <summary>Arrivals that were reserved are not added.</summary>
    public void Release(int count)
    {
        lock (_gate)
        {
            Debug.Assert(_reserved >= count, "They were reserved.");
            _reserved -= count;
        }
    }

    /// <summary>Adds an arrival that was reserved. Allocates nothing.</summary>
    public void Add(in Ticket ticket)
    {
        lock (_gate)
        {
            Debug.Assert(_reserved > 0, "Reserve comes before Add.");
            _reserved--;
            _tickets.Enqueue(ticket, (ticket.DueTicks, ticket.Mutation.Departure!.Number, ticket.Region.Index));
            ArmHoldingGate();
        }
    }

    /// <summary>Takes the first arrival, if its time has come.</summary>
    public bool TryTake(long nowTicks, out Ticket ticket)
    {
        lock (_gate)
        {
            if (!_tickets.TryPeek(out ticket, out _) || ticket.DueTicks > nowTicks)
            {
                return false;
            }

            _tickets.Dequeue();
            if (_tickets.Count + _reserved == 0 && _tickets.EnsureCapacity(0) > ShrinkFrom)
            {
                _tickets.TrimExcess();
            }

            return true;
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _isSuspended = true;
            _tickets.Clear();
            _timer.Dispose();
        }
    }

    private void Fire()
    {
        lock (_gate)
        {
            _armedForTicks = long.MaxValue;
        }

        try
        {
            _onDue();
        }
        catch (OutOfMemoryException)
        {
            // On the thread of a timer it would end the process. What is due is still here, and reads apply it as well.
        }

        lock (_gate)
        {
            ArmHoldingGate();
        }
    }

    private void ArmHoldingGate()
    {
        if (_isSuspended || !_tickets.TryPeek(out var first, out _) || first.DueTicks >= _armedForTicks)
        {
            return;
        }

        var wait = new TimeSpan(first.DueTicks - _timeProvider.GetUtcNow().UtcTicks);
        try
        {
            AllocationProbe.Before();
            _timer.Change(
                wait < s_shortestWait ? s_shortestWait : wait > s_longestWait ? s_longestWait : wait, Timeout.InfiniteTimeSpan);
            _armedForTicks = first.DueTicks;
        }
        catch (OutOfMemoryException)
        {
            // What is due is applied by whoever reads or asks first; the next arrival that is added sets the timer again.
        }
    }

    /// <summary>An arrival: which mutation, of which key, where and when.</summary>
    public readonly record struct Ticket(InFlightKey Key, Region Region, InFlightMutation Mutation, long DueTicks);
}
