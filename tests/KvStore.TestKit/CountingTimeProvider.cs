using Microsoft.Extensions.Time.Testing;

namespace KvStore.TestKit;

/// <summary>A fake clock that counts how many of its timers are armed, and how often one has fired. Thread-safe.</summary>
public sealed class CountingTimeProvider : FakeTimeProvider
{
    private int _armed;
    private int _fired;

    public int ArmedCount => Volatile.Read(ref _armed);

    public int FiredCount => Volatile.Read(ref _fired);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new CountedTimer(this, base.CreateTimer, callback, state, dueTime, period);

    private sealed class CountedTimer : ITimer
    {
        private readonly CountingTimeProvider _owner;
        private readonly ITimer _inner;
        private int _isArmed;
        private bool _isPeriodic;

        public CountedTimer(
            CountingTimeProvider owner,
            Func<TimerCallback, object?, TimeSpan, TimeSpan, ITimer> create,
            TimerCallback callback,
            object? state,
            TimeSpan dueTime,
            TimeSpan period)
        {
            _owner = owner;

            // Not armed yet: it could fire before this object knows of it.
            _inner = create(
                argument =>
                {
                    Interlocked.Increment(ref owner._fired);
                    Arm(_isPeriodic);
                    callback(argument);
                },
                state,
                Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan);
            Change(dueTime, period);
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _isPeriodic = period > TimeSpan.Zero;
            Arm(dueTime != Timeout.InfiniteTimeSpan);
            return _inner.Change(dueTime, period);
        }

        public void Dispose()
        {
            Arm(false);
            _inner.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }

        private void Arm(bool isArmed)
        {
            var wasArmed = Interlocked.Exchange(ref _isArmed, isArmed ? 1 : 0) != 0;
            if (wasArmed != isArmed)
            {
                Interlocked.Add(ref _owner._armed, isArmed ? 1 : -1);
            }
        }
    }
}
