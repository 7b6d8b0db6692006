using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Expiry;

/// <summary>
/// The current second, without reading a clock in every read.
/// </summary>
/// <remarks>
/// <para>With the system's clock a timer updates a field every 100 ms, and a read compares with that field. Reading a clock costs more
/// than the read, and stops the processor from overlapping cache misses. Only an entry within
/// <see cref="MarginSeconds"/> of its deadline makes a read ask exactly, so that no expired entry is shown even when the
/// timer is late by as much as that.</para>
/// <para>All namespaces that use the system's clock share one field and one timer (<see cref="Join"/>), which runs while there is
/// one of them. It holds them weakly: one that nobody disposed can be collected.</para>
/// <para>With any other clock, every check reads that clock, so that the clock of a test is obeyed exactly.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class CoarseClock : IDisposable
{
    /// <summary>The number of seconds by which the field may be late without an expired entry being shown.</summary>
    private const uint MarginSeconds = 5;

    // The interval at which collected users are removed.
    private const int TicksBetweenPrunings = 50;

    private static readonly TimeSpan s_resolution = TimeSpan.FromMilliseconds(100);
    private static readonly Lock s_lock = new();
    private static readonly List<WeakReference> s_users = [];
    private static CoarseClock? s_shared;

    private readonly TimeProvider _timeProvider;
    private readonly ITimer? _timer;
    private int _ticksToPruning = TicksBetweenPrunings;

    // Moved by the timer and read by every get; nothing else depends on its order. uint.MaxValue where every question
    // goes to the clock: then no deadline is ever beyond the margin.
    private uint _certainlyAliveFrom;

    /// <param name="timeProvider">The clock.</param>
    public CoarseClock(TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        _certainlyAliveFrom = uint.MaxValue;
        if (ReferenceEquals(timeProvider, TimeProvider.System))
        {
            Move();
            _timer = timeProvider.CreateTimer(static clock => ((CoarseClock)clock!).Tick(), this, s_resolution, s_resolution);
        }
    }

    /// <summary>Whether there is a timer, and not every question goes to the clock.</summary>
    public bool Ticks => _timer is not null;

    /// <summary>How many users the shared clock has, without those that were collected.</summary>
    public static int UserCount
    {
        get
        {
            lock (s_lock)
            {
                Prune();
                return s_users.Count;
            }
        }
    }

    /// <summary>The clock that drives it.</summary>
    public TimeProvider TimeProvider => _timeProvider;

    /// <summary>The current time, asked of the clock itself.</summary>
    public DateTimeOffset Now => _timeProvider.GetUtcNow();

    /// <summary>The current second since the Unix epoch, rounded down, asked of the clock itself.</summary>
    public long NowSeconds => Now.ToUnixTimeSeconds();

    /// <summary>The clock of a time provider: the one that all share where that is the system's.</summary>
    /// <param name="timeProvider">The time provider.</param>
    /// <param name="user">Who uses it until <see cref="Leave"/>; held weakly.</param>
    public static CoarseClock Join(TimeProvider timeProvider, object user)
    {
        if (!ReferenceEquals(timeProvider, TimeProvider.System))
        {
            return new CoarseClock(timeProvider);
        }

        lock (s_lock)
        {
            s_users.Add(new WeakReference(user));
            if (s_shared is null)
            {
                s_shared = new CoarseClock(timeProvider);
            }
            else if (s_users.Count == 1)
            {
                // The clock was stopped.
                s_shared.Move();
                s_shared._timer!.Change(s_resolution, s_resolution);
            }

            return s_shared;
        }
    }

    /// <summary>Ends what <see cref="Join"/> began. The clock must not be used afterwards.</summary>
    public void Leave(object user)
    {
        lock (s_lock)
        {
            if (this != s_shared)
            {
                Dispose();
                return;
            }

            s_users.RemoveAll(weak => weak.Target is null || weak.Target == user);
            StopIfUnused();
        }
    }

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

    private static void Prune()
    {
        Debug.Assert(s_lock.IsHeldByCurrentThread);
        s_users.RemoveAll(static weak => !weak.IsAlive);
        StopIfUnused();
    }

    private static void StopIfUnused()
    {
        Debug.Assert(s_lock.IsHeldByCurrentThread);
        if (s_users.Count == 0)
        {
            s_shared?._timer!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool HasPassedExactly(Deadline deadline) => deadline.HasPassedAt(Now);

    private void Tick()
    {
        Move();
        if (this != Volatile.Read(ref s_shared))
        {
            return;
        }

        if (--_ticksToPruning > 0)
        {
            return;
        }

        try
        {
            lock (s_lock)
            {
                Prune();
            }

            _ticksToPruning = TicksBetweenPrunings;
        }
        catch (OutOfMemoryException)
        {
            // On the thread of a timer it would end the process. The next tick prunes.
        }
    }

    // A clock before 1970 or after 2106 does not wrap around.
    private void Move() => Volatile.Write(ref _certainlyAliveFrom, (uint)Math.Clamp(NowSeconds + MarginSeconds, MarginSeconds, uint.MaxValue));
}
