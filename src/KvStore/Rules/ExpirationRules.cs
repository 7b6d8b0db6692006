using KvStore.Records;

namespace KvStore.Rules;

/// <summary>
/// Turns a time to live or a date into a deadline. Source: Workers KV, "Expiring keys", and the messages of the runtime.
/// </summary>
/// <remarks>
/// What the runtime takes for a 32-bit number may here be later: every expiration that can be kept can be asked for.
/// </remarks>
internal static class ExpirationRules
{
    /// <summary>Checks what the options ask for.</summary>
    /// <param name="options">The options of a put.</param>
    /// <param name="limits">The least time to live.</param>
    /// <param name="now">The current time.</param>
    /// <param name="name">The namespace of the put, for messages; null where it is not known.</param>
    /// <param name="key">The key of the put, for messages.</param>
    /// <param name="operation">The operation, for messages.</param>
    /// <returns>The deadline, or the default for none.</returns>
    /// <exception cref="KvException">It is in the past or too near (400).</exception>
    /// <exception cref="ArgumentException">It is later than can be kept.</exception>
    public static Deadline Check(
        KvPutOptions options, KvLimits limits, DateTimeOffset now, string? name, string key, string operation = NamedEntry.Put)
    {
        if (options.KeptDeadline is { } kept)
        {
            return kept;
        }

        var leastSeconds = (long)limits.ExpirationTtlMin.TotalSeconds;
        var nowSeconds = now.ToUnixTimeSeconds();
        if (options.ExpirationTtl is { } ttl)
        {
            var seconds = WholeSeconds(ttl);
            if (seconds <= 0)
            {
                throw Refused(operation, "expirationTtl", $"Invalid expiration_ttl of {seconds}. Please specify integer greater than 0.");
            }

            if (seconds < leastSeconds)
            {
                throw Refused(operation, "expirationTtl", $"Invalid expiration_ttl of {seconds}. Expiration TTL must be at least {leastSeconds}.");
            }

            return AfterTtl(options, now, name, key, operation);
        }

        if (options.Expiration is { } expiration)
        {
            var seconds = expiration.ToUnixTimeSeconds();
            if (seconds <= nowSeconds)
            {
                throw Refused(operation, "expiration", $"Invalid expiration of {seconds}. Please specify integer greater than the current number of seconds since the UNIX epoch.");
            }

            if (seconds < nowSeconds + leastSeconds)
            {
                throw Refused(operation, "expiration", $"Invalid expiration of {seconds}. Expiration times must be at least {leastSeconds} seconds in the future.");
            }

            return IsKept(UnixTicks(expiration), seconds)
                ? Deadline.AtTicks(UnixTicks(expiration), seconds)
                : throw NotStorable("expiration", OutOfRange(PutSeconds.ExpirationName, RefusedSeconds(seconds), seconds < 1, nowSeconds, name, key, operation));
        }

        return default;
    }

    /// <summary>The deadline after the time to live of options that have been checked.</summary>
    /// <exception cref="ArgumentException">It is later than can be kept.</exception>
    public static Deadline AfterTtl(
        KvPutOptions options, DateTimeOffset now, string? name, string key, string operation = NamedEntry.Put)
    {
        var ttl = options.ExpirationTtl.GetValueOrDefault();

        var nowSeconds = now.ToUnixTimeSeconds();
        var seconds = nowSeconds + WholeSeconds(ttl);

        // Without an overflow: both are within the range of a TimeSpan.
        var isKept = ttl.Ticks <= MaxTicks - UnixTicks(now) && IsKept(UnixTicks(now) + ttl.Ticks, seconds);
        return isKept
            ? Deadline.AtTicks(UnixTicks(now) + ttl.Ticks, seconds)
            : throw NotStorable("expirationTtl", OutOfRange(PutSeconds.TtlName, WholeSeconds(ttl), seconds < 1, nowSeconds, name, key, operation));
    }

    /// <summary>A span in whole seconds, cut off towards zero.</summary>
    public static long WholeSeconds(TimeSpan span) => span.Ticks / TimeSpan.TicksPerSecond;

    /// <summary>A span in whole seconds, cut off towards zero, that must fit 32 bits, as in the runtime.</summary>
    /// <exception cref="ArgumentException">It does not.</exception>
    public static int Seconds32(TimeSpan span, string parameter)
    {
        var seconds = WholeSeconds(span);
        return seconds is >= int.MinValue and <= int.MaxValue
            ? (int)seconds
            : throw new KvArgumentException(Invariant($"Value out of range. Must be between {int.MinValue} and {int.MaxValue} (inclusive)."), parameter);
    }

    private const long MaxTicks = Deadline.SecondsMax * TimeSpan.TicksPerSecond;

    // The second that is shown can be put again. The epoch itself stands for "never".
    private static bool IsKept(long unixTicks, long shownSeconds) => shownSeconds >= 1 && unixTicks <= MaxTicks;

    // For a message: an expiration that is too late by a part of a second does not read as the latest one.
    private static long RefusedSeconds(long seconds) => seconds == Deadline.SecondsMax ? seconds + 1 : seconds;

    private static long UnixTicks(DateTimeOffset time) => time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;

    // The names are those of the options, not of a parameter here.
    private static KvArgumentException NotStorable(string paramName, string reason) => new(reason, paramName);

    private static KvException Refused(string operation, string paramName, FormattableString reason) =>
        new(400, operation, Invariant(reason)) { ParamName = paramName };

    /// <summary>The deadline of an entry that shows an expiration.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The expiration cannot be stored.</exception>
    public static Deadline DeadlineOf(DateTimeOffset? expiration, string parameter)
    {
        if (expiration is not { } at)
        {
            return default;
        }

        var seconds = at.ToUnixTimeSeconds();
        return seconds is >= 1 and <= Deadline.SecondsMax
            ? new Deadline((uint)seconds)
            : throw Rules.OutOfRange.Exception(
                parameter, at, Invariant($"An expiration is 1 to {Deadline.SecondsMax} seconds since the Unix epoch (until 2106-02-07T06:28:15Z); this one is {seconds}."));
    }

    // Only a clock before the epoch leads to an expiration before it, and where the clock is past the latest one, none is possible.
    private static string OutOfRange(string option, long seconds, bool isTooEarly, long nowSeconds, string? name, string key, string operation)
    {
        var clock = Invariant($"The clock stands at {nowSeconds} seconds since the Unix epoch");
        var reason = isTooEarly ? $"{clock}, and no expiration before 1 can be stored."
            : nowSeconds < Deadline.SecondsMax ? PutSeconds.LatestText
            : $"{clock}. {PutSeconds.LatestText}";
        return Invariant($"Invalid {option} of {seconds}. {reason} {NamedEntry.NothingStored(name, key, operation)}");
    }
}
