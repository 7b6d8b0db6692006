namespace KvStore.PostgreSql.Connections;

/// <summary>
/// Deadlines go by the clock of the database, so that an entry expires at one moment in all processes. Here they are converted to the
/// clock of this process, to the second.
/// </summary>
/// <remarks>
/// <para>A namespace with a clock of its own, as tests have, goes by that clock alone: the statements get its time. Then all processes
/// must have that clock.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class DatabaseClock(TimeProvider timeProvider)
{
    // A difference is noticed when it is clearly nearer to another second.
    private static readonly TimeSpan s_hysteresis = TimeSpan.FromMilliseconds(750);
    private static readonly TimeSpan s_roundTripMax = TimeSpan.FromMilliseconds(500);

    private readonly bool _isDatabase = ReferenceEquals(timeProvider, TimeProvider.System);
    private long _offsetSeconds;

    /// <summary>By how many seconds the clock of the database is ahead of the clock of this process.</summary>
    public long OffsetSeconds => Volatile.Read(ref _offsetSeconds);

    /// <summary>The half seconds since 1970 as a parameter of a statement; null for the clock of the database.</summary>
    public long? NowParameter => _isDatabase ? null : timeProvider.GetUtcNow().ToUnixTimeMilliseconds() / 500;

    /// <summary>The expression of the time, given the number of the parameter for <see cref="NowParameter"/>.</summary>
    public static string Now(string parameter) => $"coalesce({parameter}::bigint, floor(extract(epoch FROM clock_timestamp()) * 2)::bigint)";

    /// <summary>Compares the clocks.</summary>
    /// <param name="database">What the clock of the database showed.</param>
    /// <param name="sent">When that was asked, by the clock of this process.</param>
    /// <param name="received">When the answer came.</param>
    /// <returns>Whether the offset has changed.</returns>
    public bool Measure(DateTimeOffset database, DateTimeOffset sent, DateTimeOffset received)
    {
        if (!_isDatabase || received - sent > s_roundTripMax || received < sent)
        {
            return false;
        }

        var offset = database - (sent + ((received - sent) / 2));
        if ((offset - TimeSpan.FromSeconds(OffsetSeconds)).Duration() < s_hysteresis)
        {
            return false;
        }

        Volatile.Write(ref _offsetSeconds, (long)Math.Round(offset.TotalSeconds));
        return true;
    }

    /// <summary>The deadline of a mutation as the database keeps it: the half second since 1970 from which the entry is gone; null for never.</summary>
    public long? ToDatabase(in KvMutation mutation) =>
        mutation.DeadlineSeconds == 0 ? null : (2 * (mutation.DeadlineSeconds + OffsetSeconds)) - (mutation.DeadlineRounding == 1 ? 1 : 0);

    /// <summary>The deadline of an entry as this process keeps it.</summary>
    public uint ToSeconds(long? expires) =>
        expires is not { } halfSeconds ? 0 : (uint)Math.Clamp(((halfSeconds + 1) / 2) - OffsetSeconds, 1, uint.MaxValue);
}
