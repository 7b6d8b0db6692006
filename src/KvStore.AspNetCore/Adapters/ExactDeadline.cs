using System.Diagnostics;

namespace KvStore.Adapters;

/// <summary>
/// The moment from which an entry of an adapter is gone, to the millisecond. The adapter keeps it in the entry, because the deadlines of
/// the store are whole seconds and at least 60 seconds away.
/// </summary>
/// <param name="UnixMilliseconds">Milliseconds since the Unix epoch.</param>
internal readonly record struct ExactDeadline(long UnixMilliseconds)
{
    /// <summary>The shortest time to live that is written.</summary>
    public static readonly TimeSpan TtlMin = TimeSpan.FromSeconds(60);

    /// <summary>The deadline after a span of time that begins now. A deadline that no date can express is the last one.</summary>
    public static ExactDeadline After(TimeSpan span, DateTimeOffset now) =>
        new(span >= DateTimeOffset.MaxValue - now ? DateTimeOffset.MaxValue.ToUnixTimeMilliseconds() : At(now + span).UnixMilliseconds);

    /// <summary>The deadline at a moment. A fraction of a millisecond is rounded up.</summary>
    public static ExactDeadline At(DateTimeOffset moment)
    {
        var milliseconds = moment.ToUnixTimeMilliseconds();
        return new(DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) < moment ? milliseconds + 1 : milliseconds);
    }

    /// <summary>Whether the entry is gone.</summary>
    public bool HasPassed(DateTimeOffset now) => now.ToUnixTimeMilliseconds() >= UnixMilliseconds;

    /// <summary>The time to live that the store is given: the entry lives there at least until the deadline. Null for ever.</summary>
    public TimeSpan? TimeToLive(DateTimeOffset now)
    {
        // The store counts from a clock that it reads later, so a day is left to the latest deadline that it takes.
        if (UnixMilliseconds > KvLimits.ExpirationMax.AddDays(-1).ToUnixTimeMilliseconds())
        {
            return null;
        }

        var seconds = (UnixMilliseconds - now.ToUnixTimeMilliseconds() + 999) / 1000;
        var ttl = TimeSpan.FromSeconds(Math.Max(seconds, (long)TtlMin.TotalSeconds));
        Debug.Assert(ttl >= TtlMin && ttl.Ticks % TimeSpan.TicksPerSecond == 0);
        return ttl;
    }
}
