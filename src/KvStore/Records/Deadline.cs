using System.Diagnostics;

namespace KvStore.Records;

/// <summary>
/// The moment from which an entry is gone. Kept to the half second, and shown to callers as the whole second that the binding
/// shows.
/// </summary>
/// <remarks>
/// <para>The binding shows an expiration in whole seconds: the current second, rounded down, plus the time to live. An entry
/// that was gone at that second would live up to a second less than its time to live. So it is gone at the first half second
/// at which its time to live has passed, and shows the second that the binding shows, which is at most a second earlier.</para>
/// <para><see cref="Rounding"/> is 0 when the entry is gone at <see cref="Seconds"/> and shows that; 1 when it is gone half a
/// second before <see cref="Seconds"/>, and 2 when it is gone at <see cref="Seconds"/>: both show one second less. It is 3 when the
/// entry is gone at <see cref="Seconds"/> and shows two seconds less, where the time to live had a fraction of a second too, which
/// the binding cuts off.</para>
/// </remarks>
/// <param name="Seconds">The first second since the Unix epoch at which the entry is certainly gone; 0 for never.</param>
/// <param name="Rounding">0 to 3.</param>
internal readonly record struct Deadline(uint Seconds, byte Rounding = 0)
{
    /// <summary>The latest second that can be kept: 2106-02-07T06:28:15Z.</summary>
    public const long SecondsMax = uint.MaxValue;

    /// <summary>The ticks of half a second.</summary>
    public const long HalfSecondTicks = TimeSpan.TicksPerSecond / 2;

    /// <summary>Whether there is none.</summary>
    public bool IsNone => Seconds == 0;

    /// <summary>The first half second since the Unix epoch at which the entry is gone.</summary>
    public long HalfSeconds => (2L * Seconds) - (Rounding == 1 ? 1 : 0);

    /// <summary>The second that callers are shown; 0 for never.</summary>
    public uint ExpirationSeconds => IsNone ? 0 : Seconds - (uint)((Rounding + 1) / 2);

    /// <summary>What callers are shown.</summary>
    public DateTimeOffset? Expiration => IsNone ? null : DateTimeOffset.FromUnixTimeSeconds(ExpirationSeconds);

    /// <summary>The moment from which the entry is gone; null for never.</summary>
    public DateTimeOffset? EndsAt => IsNone ? null : DateTimeOffset.UnixEpoch.AddTicks(HalfSeconds * HalfSecondTicks);

    /// <summary>Whether it is at a time or earlier. A deadline that is none never is.</summary>
    public bool HasPassedAt(DateTimeOffset now) => !IsNone && HalfSeconds * HalfSecondTicks <= now.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;

    /// <summary>The first second at which a look may find it passed.</summary>
    public uint EarliestSecond => (uint)(HalfSeconds / 2);

    /// <summary>The deadline at a time, rounded up to a half second, or to a second where two less are shown.</summary>
    /// <param name="unixTicks">The time in ticks since the Unix epoch, within what can be kept.</param>
    /// <param name="shownSeconds">The second to be shown: that of the time, or the one before.</param>
    public static Deadline AtTicks(long unixTicks, long shownSeconds)
    {
        var seconds = CeilingOf(unixTicks, TimeSpan.TicksPerSecond);
        Debug.Assert(seconds - shownSeconds is >= 0 and <= 2, "The binding shows less than two seconds less.");
        var isHalf = CeilingOf(unixTicks, HalfSecondTicks) < 2 * seconds;
        return new Deadline(checked((uint)seconds), (byte)((seconds - shownSeconds) switch { 0 => 0, 1 => isHalf ? 1 : 2, _ => 3 }));
    }

    // Rounds towards the future. Nothing before the epoch can be kept.
    private static long CeilingOf(long ticks, long unit) => (ticks + unit - 1) / unit;
}
