namespace KvStore.Replication;

/// <summary>
/// Everything that is on its way, by the time at which it arrives, and the one timer that waits for the first of it.
/// </summary>
/// <remarks>
/// What was taken off its way meanwhile, because something newer was heard first, stays here until its time and is then
/// found to be void. Ties are broken by the number of the mutation and the place of the region, so that the order is the
/// same in every process. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class DeliverySchedule : IDisposable
{
    private const int ShrinkFrom = 256;

    // Timers count in milliseconds and may fire a little early; below this they would only spin.
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromDays(1);

    private readonly TimeProvider _timeProvider;
    private readonly Action _onDue;
    private readonly Lock _gate = new();
    private readonly PriorityQueue<Delivery, (long DueTicks, long Number, int Region)> _tickets = new();
    private readonly ITimer _timer;
    private long _armedForTicks = long.MaxValue;
    private bool _isSuspended;

    public DeliverySchedule(TimeProvider timeProvider, Action onDue)
    {
        _timeProvider = timeProvider;
        _onDue = onDue;
        _timer = timeProvider.CreateTimer(
            static schedule => ((DeliverySchedule)schedule!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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

    /// <summary>Adds an arrival.</summary>
    public void Add(in Delivery ticket)
    {
        lock (_gate)
        {
            _tickets.Enqueue(ticket, (ticket.DueTicks, ticket.Mutation.ReplicatedWrite!.Number, ticket.Region.Index));
            ArmHoldingGate();
        }
    }

    /// <summary>Takes the first arrival, if its time has come.</summary>
    public bool TryTake(long nowTicks, out Delivery ticket)
    {
        lock (_gate)
        {
            if (!_tickets.TryPeek(out ticket, out _) || ticket.DueTicks > nowTicks)
            {
                return false;
            }

            _tickets.Dequeue();
            if (_tickets.Count == 0 && _tickets.EnsureCapacity(0) > ShrinkFrom)
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

        _onDue();
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

        _armedForTicks = first.DueTicks;
        var wait = new TimeSpan(first.DueTicks - _timeProvider.GetUtcNow().UtcTicks);
        _timer.Change(
            wait < s_shortestWait ? s_shortestWait : wait > s_longestWait ? s_longestWait : wait, Timeout.InfiniteTimeSpan);
    }

    /// <summary>An arrival: which mutation, of which key, where and when.</summary>
    public readonly record struct Delivery(PendingKey Key, Region Region, PendingWrite Mutation, long DueTicks);
}
