namespace KvStore.Hybrid;

/// <summary>The time in milliseconds since 1970, and a moment that has not come for certain, which costs nothing to read.</summary>
/// <remarks>
/// With the system's clock a timer moves <see cref="Horizon"/> every 100 ms. It is five seconds ahead, so that a timer that is late by as much
/// shows no expired entry. With any other clock every check reads that clock. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class HybridClock : IDisposable
{
    private const long MarginMilliseconds = 5000;

    private static readonly TimeSpan s_resolution = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider _timeProvider;
    private readonly ITimer? _timer;
    private long _horizon = long.MaxValue;

    /// <param name="timeProvider">The clock.</param>
    public HybridClock(TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        if (ReferenceEquals(timeProvider, TimeProvider.System))
        {
            Move();

            // Held weakly, so that a cache that nobody disposes can be collected.
            _timer = timeProvider.CreateTimer(static clock => MoveIfAlive((WeakReference<HybridClock>)clock!), new WeakReference<HybridClock>(this), s_resolution, s_resolution);
        }
    }

    /// <summary>What expires after this moment has not expired. <see cref="long.MaxValue"/> where every check needs <see cref="Now"/>.</summary>
    public long Horizon => Volatile.Read(ref _horizon);

    /// <summary>The time, with fractions of a millisecond cut off.</summary>
    public long Now => _timeProvider.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Whether a moment is now or was earlier.</summary>
    public bool HasPassed(long moment) => moment <= Horizon && moment <= Now;

    /// <summary>The moment after a span of time from now, rounded up to a millisecond; the end of time where it is beyond.</summary>
    public long After(TimeSpan span)
    {
        var ticks = _timeProvider.GetUtcNow().UtcTicks;
        var sum = span.Ticks > DateTimeOffset.MaxValue.UtcTicks - ticks ? DateTimeOffset.MaxValue.UtcTicks : ticks + span.Ticks;
        return (sum - DateTimeOffset.UnixEpoch.UtcTicks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
    }

    public void Dispose()
    {
        _timer?.Dispose();
        Volatile.Write(ref _horizon, long.MaxValue);
    }

    private static void MoveIfAlive(WeakReference<HybridClock> weak)
    {
        if (weak.TryGetTarget(out var clock))
        {
            clock.Move();
        }
    }

    private void Move() => Volatile.Write(ref _horizon, Now + MarginMilliseconds);
}
