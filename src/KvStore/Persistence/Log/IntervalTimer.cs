using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// Sends what was gathered on its way once an interval has passed. Only while there is something: a log that nobody writes to costs
/// nothing, and is not kept alive.
/// </summary>
/// <remarks>
/// Armed, it holds the log, so that what was acknowledged reaches the disk though nobody holds the namespace any more. At rest it
/// holds nothing. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class IntervalTimer : IAsyncDisposable
{
    private readonly GroupCommit _log;
    private readonly TimeSpan _interval;
    private readonly Holder _holder;
    private readonly ITimer _timer;
    private int _isArmed;

    /// <param name="log">The log that is told.</param>
    /// <param name="time">The clock.</param>
    /// <param name="interval">How long something may wait.</param>
    public IntervalTimer(GroupCommit log, TimeProvider time, TimeSpan interval)
    {
        _log = log;
        _interval = interval;
        _holder = new Holder();
        _timer = time.CreateTimer(
            static holder => ((Holder)holder!).Armed?.Tick(), _holder, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Something was gathered.</summary>
    public void Arm()
    {
        if (Volatile.Read(ref _isArmed) == 0 && Interlocked.Exchange(ref _isArmed, 1) == 0)
        {
            _holder.Armed = this;
            try
            {
                AllocationProbe.Before();
                _timer.Change(_interval, Timeout.InfiniteTimeSpan);
            }
            catch (OutOfMemoryException)
            {
                // What was gathered has been taken, so this must not fail; without a timer it goes on its way at once.
                Rest();
                _log.Tick();
            }
        }
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    // At rest before the log is told: what is gathered after that arms it again.
    private void Tick()
    {
        Rest();
        _log.Tick();
        if (_log.NeedsTick)
        {
            Arm();
        }
    }

    private void Rest()
    {
        _holder.Armed = null;
        Volatile.Write(ref _isArmed, 0);
    }

    private sealed class Holder
    {
        public volatile IntervalTimer? Armed;
    }
}
