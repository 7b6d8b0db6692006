using System.Runtime.CompilerServices;

namespace KvStore.Expiry;

/// <summary>
/// What second it is, told without asking a clock on every read.
/// </summary>
/// <remarks>
/// <para>With the system's clock a timer moves a field every 100 ms, and a read compares with that field: asking a clock
/// costs more than the read, and stops the processor from overlapping cache misses. Only an entry within
/// <see cref="MarginSeconds"/> of its deadline makes a read ask exactly, so that no expired entry is shown even when the
/// timer is late by as much as that.</para>
/// <para>With any other clock every question goes to that clock: a test's clock is obeyed exactly.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class CoarseClock : IDisposable
{
    /// <summary>By how many seconds the field may lag before a read could notice.</summary>
    private const uint MarginSeconds = 5;

    private static readonly TimeSpan s_resolution = TimeSpan.FromMilliseconds(100);

    private readonly TimeProvider _timeProvider;
    private readonly ITimer? _timer;
    private readonly Action? _onTick;

    // Moved by the timer and read by every get; nothing else depends on its order. uint.MaxValue where every question
    // goes to the clock: then no deadline is ever beyond the margin.
    private uint _certainlyAliveFrom;

    /// <param name="timeProvider">The clock.</param>
    /// <param name="onTick">Called whenever the field is moved, by the timer; for what else has to be looked at now and then.</param>
    public CoarseClock(TimeProvider timeProvider, Action? onTick = null)
    {
        _timeProvider = timeProvider;
        _onTick = onTick;
        _certainlyAliveFrom = uint.MaxValue;
        if (ReferenceEquals(timeProvider, TimeProvider.System))
        {
            Move();
            _timer = timeProvider.CreateTimer(static clock => ((CoarseClock)clock!).Tick(), this, s_resolution, s_resolution);
        }
    }

    /// <summary>Whether there is a timer, and not every question goes to the clock.</summary>
    public bool Ticks => _timer is not null;

    /// <summary>The clock that drives it.</summary>
    public TimeProvider TimeProvider => _timeProvider;

    /// <summary>The current time, asked of the clock itself.</summary>
    public DateTimeOffset Now => _timeProvider.GetUtcNow();

    /// <summary>The current second since the Unix epoch, rounded down, asked of the clock itself.</summary>
    public long NowSeconds => Now.ToUnixTimeSeconds();

    /// <summary>Whether a deadline has passed: it has when it is now or earlier.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool HasPassed(Deadline deadline) => MayHavePassed(deadline.Seconds) && HasPassedExactly(deadline);

    /// <summary>Whether the deadline of this many seconds (0: none) may have passed, without asking the clock: false is certain, true is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayHavePassed(uint deadlineSeconds)
    {
        // 0 wraps around to the largest number: an entry without a deadline passes here too.
        return deadlineSeconds - 1 < _certainlyAliveFrom;
    }

    public void Dispose() => _timer?.Dispose();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool HasPassedExactly(Deadline deadline) => deadline.HasPassedAt(Now);

    private void Tick()
    {
        Move();
        _onTick?.Invoke();
    }

    // A clock before 1970 or after 2106 does not wrap around.
    private void Move() => Volatile.Write(ref _certainlyAliveFrom, (uint)Math.Clamp(NowSeconds + MarginSeconds, MarginSeconds, uint.MaxValue));
}
