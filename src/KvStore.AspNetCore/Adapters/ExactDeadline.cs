using System.Diagnostics;

namespace KvStore.Adapters;

/// <summary>
/// The exact moment from which an entry of an adapter is gone. The adapter keeps it in the entry, because the deadlines of the store are
/// whole seconds and at least 60 seconds away.
/// </summary>
/// <param name="UtcTicks">The moment, as <see cref="DateTimeOffset.UtcTicks"/>.</param>
internal readonly record struct ExactDeadline(long UtcTicks)
{
    /// <summary>The shortest time to live that is written.</summary>
    public static readonly TimeSpan TtlMin = TimeSpan.FromSeconds(60);

    /// <summary>The deadline after a span of time that begins now. A deadline that no date can express is the last one.</summary>
    public static ExactDeadline After(TimeSpan span, DateTimeOffset now) =>
        new(span >= DateTimeOffset.MaxValue - now ? DateTimeOffset.MaxValue.UtcTicks : (now + span).UtcTicks);

    /// <summary>Whether the entry is gone.</summary>
    public bool HasPassed(DateTimeOffset now) => now.UtcTicks >= UtcTicks;

    /// <summary>The time to live that the store is given: the entry lives there at least until the deadline. Null for ever.</summary>
    public TimeSpan? TimeToLive(DateTimeOffset now)
    {
        // The store counts from a clock that it reads later, so a day is left to the latest deadline that it takes.
        if (UtcTicks > KvLimits.ExpirationMax.AddDays(-1).UtcTicks)
        {
            return null;
        }

        var seconds = (UtcTicks - now.UtcTicks + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond;
        var ttl = TimeSpan.FromSeconds(Math.Max(seconds, (long)TtlMin.TotalSeconds));
        Debug.Assert(ttl >= TtlMin && ttl.Ticks % TimeSpan.TicksPerSecond == 0);
        return ttl;
    }
}
