using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>A delivery: a write of a key, a region that receives it, and the time.</summary>
internal readonly record struct Delivery(PendingKey Key, PendingWrite Write, Region Region, long DueTicks);

/// <summary>
/// Makes all deliveries in the order of their times: with one timer that waits for the first of them, or step by step while it is
/// paused.
/// </summary>
/// <remarks>
/// <para>A read of a key makes the deliveries of this key that are due. The schedule makes the others; the timer, a list and a
/// question for the number of pending deliveries start it.</para>
/// <para>A delivery that became void, because it was made or superseded, stays here until its time; <see cref="MakeDelivery"/> then
/// returns false. Deliveries of the same time are ordered by the number of the write, then by the region, so that the order is the
/// same in every process.</para>
/// <para>Thread safety: all members, from any thread. The lock of deliveries is taken before any lock of the table of pending
/// writes, and the lock of the queue after.</para>
/// </remarks>
internal sealed class DeliverySchedule : IDisposable
{
    private const int ShrinkFrom = 256;

    // Timers count in milliseconds and may fire early; a shorter wait would make the timer fire again and again.
    private static readonly TimeSpan s_shortestWait = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestWait = TimeSpan.FromDays(1);

    private readonly TimeProvider _timeProvider;
    private readonly MakeDelivery _deliver;
    private readonly Lock _deliveryLock = new();
    private readonly Lock _lock = new();
    private readonly PriorityQueue<Delivery, (long DueTicks, long Number, int Region)> _deliveries = new();
    private readonly ITimer _timer;
    private long _armedForTicks = long.MaxValue;
    private long _resumedTicks;
    private volatile bool _isPaused;
    private bool _isDisposed;
    private long _pendingCount;
    private TaskCompletionSource? _converged;

    /// <param name="timeProvider">The clock.</param>
    /// <param name="deliver">Makes a delivery.</param>
    public DeliverySchedule(TimeProvider timeProvider, MakeDelivery deliver)
    {
        _timeProvider = timeProvider;
        _deliver = deliver;
        _timer = timeProvider.CreateTimer(
            static schedule => ((DeliverySchedule)schedule!).Fire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Makes a delivery. Returns false when it is void.</summary>
    /// <param name="delivery">The delivery.</param>
    /// <param name="deliveredTicks">When it counts as made.</param>
    public delegate bool MakeDelivery(in Delivery delivery, long deliveredTicks);

    /// <summary>The time in UTC ticks.</summary>
    public long NowTicks => _timeProvider.GetUtcNow().UtcTicks;

    /// <summary>Deliveries up to this time are due: those up to now, and none while paused.</summary>
    public long HorizonTicks => _isPaused ? long.MinValue : NowTicks;

    /// <summary>Whether deliveries are made only by <see cref="Step"/>.</summary>
    public bool IsPaused => _isPaused;

    /// <summary>The number of pending deliveries.</summary>
    public long PendingCount => Volatile.Read(ref _pendingCount);

    /// <summary>When a delivery that was due at a time was made: then, or when the pause ended.</summary>
    public long DeliveredTicks(long dueTicks) => Math.Max(dueTicks, Volatile.Read(ref _resumedTicks));

    /// <summary>Makes all deliveries that are due.</summary>
    public void DeliverDue()
    {
        lock (_deliveryLock)
        {
            while (TryTake(HorizonTicks, out var delivery))
            {
                _deliver(delivery, DeliveredTicks(delivery.DueTicks));
            }
        }
    }

    /// <summary>Makes no more deliveries by itself.</summary>
    public void Pause()
    {
        lock (_deliveryLock)
        {
            DeliverDue();
            _isPaused = true;
        }
    }

    /// <summary>Makes the next delivery, even before its time.</summary>
    /// <returns>The delivery and its time; null when none can be made.</returns>
    public (Delivery Delivery, long DeliveredTicks)? Step()
    {
        lock (_deliveryLock)
        {
            var nowTicks = NowTicks;
            while (TryTake(WriteOrigin.HeldBack - 1, out var delivery))
            {
                if (_deliver(delivery, nowTicks))
                {
                    return (delivery, nowTicks);
                }
            }

            return null;
        }
    }

    /// <summary>Ends a pause. Deliveries whose time has passed are made now.</summary>
    public void Resume()
    {
        lock (_deliveryLock)
        {
            if (!_isPaused)
            {
                return;
            }

            Volatile.Write(ref _resumedTicks, NowTicks);
            _isPaused = false;
            DeliverDue();
            lock (_lock)
            {
                ArmHoldingLock();
            }
        }
    }

    /// <summary>Adds a delivery. On failure nothing has changed.</summary>
    public void Add(in Delivery delivery)
    {
        Debug.Assert(delivery.DueTicks != WriteOrigin.HeldBack, "A delivery that is held back is scheduled when it is sent again.");
        lock (_lock)
        {
            AllocationProbe.Before();
            _deliveries.Enqueue(delivery, (delivery.DueTicks, delivery.Write.Origin.Number, delivery.Region.Index));
            ArmHoldingLock();
        }
    }

    /// <summary>Adds to <see cref="PendingCount"/>, and completes the tasks that wait for 0. Cannot fail.</summary>
    public void AddPending(int change)
    {
        var count = Interlocked.Add(ref _pendingCount, change);
        Debug.Assert(count >= 0, "A write is delivered once to each region.");
        if (count == 0)
        {
            try
            {
                Interlocked.Exchange(ref _converged, null)?.TrySetResult();
            }
            catch (OutOfMemoryException)
            {
                // The task has completed. Only queueing its continuations to the thread pool failed.
            }
        }
    }

    /// <summary>Completes when no delivery is pending; at once, when none is pending now.</summary>
    public Task WaitForConvergenceAsync(CancellationToken cancellationToken)
    {
        if (PendingCount == 0)
        {
            return Task.CompletedTask;
        }

        var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var converged = Interlocked.CompareExchange(ref _converged, mine, null) ?? mine;

        // The last delivery may have been made before the source was there to complete.
        if (PendingCount == 0)
        {
            converged.TrySetResult();
            Interlocked.CompareExchange(ref _converged, null, converged);
        }

        return converged.Task.WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _deliveries.Clear();
            _timer.Dispose();
        }
    }

    private bool TryTake(long horizonTicks, out Delivery delivery)
    {
        Debug.Assert(_deliveryLock.IsHeldByCurrentThread);
        lock (_lock)
        {
            if (!_deliveries.TryPeek(out delivery, out _) || delivery.DueTicks > horizonTicks)
            {
                return false;
            }

            _deliveries.Dequeue();
            if (_deliveries.Count == 0 && _deliveries.EnsureCapacity(0) > ShrinkFrom)
            {
                // Releases the array, which takes no memory when the queue is empty.
                _deliveries.TrimExcess();
            }

            return true;
        }
    }

    private void Fire()
    {
        lock (_lock)
        {
            _armedForTicks = long.MaxValue;
        }

        try
        {
            DeliverDue();
        }
        catch (OutOfMemoryException)
        {
            // An exception on a timer's thread would end the process. Reads make the deliveries as well.
        }

        lock (_lock)
        {
            ArmHoldingLock();
        }
    }

    private void ArmHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_isPaused || _isDisposed || !_deliveries.TryPeek(out var first, out _) || first.DueTicks >= _armedForTicks)
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
            // A read makes its deliveries without the timer, and the next delivery that is added sets the timer again.
        }
    }
}
