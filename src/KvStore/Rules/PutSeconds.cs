namespace KvStore.Rules;

/// <summary>Seconds in a request or a bulk file, where they may be any whole number.</summary>
internal static class PutSeconds
{
    public const string TtlName = "expiration_ttl";
    public const string ExpirationName = "expiration";

    /// <summary>The latest expiration, <see cref="KvLimits.ExpirationMax"/>, for messages.</summary>
    public const string LatestText = "The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).";

    // The range of a date and of a span. This type has the messages for numbers beyond it.
    private static readonly long s_least = DateTimeOffset.MinValue.ToUnixTimeSeconds();
    private static readonly long s_most = DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    /// <summary>The number, where it is within what a date or a span can hold.</summary>
    /// <param name="seconds">The number.</param>
    /// <param name="name">Which of the two it is.</param>
    /// <exception cref="KvException">It is beyond every expiration (400).</exception>
    public static long Check(Int128 seconds, string name) =>
        seconds < s_least ? throw Refused(name, Invariant($"Invalid {name} of {seconds}. {RuleOf(name)}"))
        : seconds > s_most ? throw Refused(name, Invariant($"Invalid {name} of {seconds}. {LatestText}"))
        : (long)seconds;

    /// <summary>The least number that the binding accepts.</summary>
    public static string RuleOf(string name) => name == TtlName
        ? "Please specify integer greater than 0."
        : "Please specify integer greater than the current number of seconds since the UNIX epoch.";

    /// <summary>The exception for one of the two that is not allowed.</summary>
    public static KvException Refused(string name, string reason) =>
        new(400, "PUT", reason) { ParamName = name == TtlName ? "expirationTtl" : "expiration" };

    /// <summary>The time to live.</summary>
    public static TimeSpan? ToTtl(long? seconds) => seconds is { } span ? TimeSpan.FromSeconds(span) : null;

    /// <summary>The expiration.</summary>
    public static DateTimeOffset? ToExpiration(long? seconds) => seconds is { } at ? DateTimeOffset.FromUnixTimeSeconds(at) : null;
}
