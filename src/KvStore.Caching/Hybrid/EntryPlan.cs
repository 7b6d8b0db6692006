using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>What the options of a call say, with the defaults for what they leave out.</summary>
/// <remarks>
/// There is one level, the namespace, which has the duties of both levels. An entry has two deadlines in it: <see cref="Expiration"/> when it is
/// written for the distributed cache, and <see cref="LocalExpiration"/> when it is written for the local cache. A read looks at the
/// deadlines of the levels that it may read. So each combination of flags does what it does with two levels.
/// </remarks>
/// <param name="Flags">The flags.</param>
/// <param name="Expiration">How long the entry lives.</param>
/// <param name="LocalExpiration">How long it lives for callers who may read the local cache only.</param>
internal readonly record struct EntryPlan(HybridCacheEntryFlags Flags, TimeSpan Expiration, TimeSpan LocalExpiration)
{
    private static readonly TimeSpan s_expiration = TimeSpan.FromMinutes(5);

    /// <summary>The plan without any options.</summary>
    public static EntryPlan Default => new(HybridCacheEntryFlags.None, s_expiration, s_expiration);

    /// <summary>Whether neither level may be read.</summary>
    public bool ReadsNothing => (Flags & (HybridCacheEntryFlags.DisableLocalCacheRead | HybridCacheEntryFlags.DisableDistributedCacheRead))
        == (HybridCacheEntryFlags.DisableLocalCacheRead | HybridCacheEntryFlags.DisableDistributedCacheRead);

    /// <summary>Whether neither level may be written.</summary>
    public bool WritesNothing => (Flags & (HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite))
        == (HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite);

    /// <summary>This plan with what the options of a call say.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A time to live is not positive.</exception>
    public EntryPlan With(HybridCacheEntryOptions? options)
    {
        if (options is null)
        {
            return this;
        }

        var expiration = Positive(options.Expiration, nameof(HybridCacheEntryOptions.Expiration), nameof(options)) ?? Expiration;
        var local = Positive(options.LocalCacheExpiration, nameof(HybridCacheEntryOptions.LocalCacheExpiration), nameof(options)) ?? options.Expiration ?? LocalExpiration;
        return new EntryPlan(options.Flags ?? Flags, expiration, local < expiration ? local : expiration);
    }

    /// <summary>The header of an entry that is written now.</summary>
    public EntryHeader HeaderAt(HybridClock clock, string[] tags, bool isNull) => new(
        (Flags & HybridCacheEntryFlags.DisableDistributedCacheWrite) == 0 ? clock.After(Expiration) : 0,
        (Flags & HybridCacheEntryFlags.DisableLocalCacheWrite) == 0 ? clock.After(LocalExpiration) : 0,
        tags,
        isNull);

    /// <summary>When an entry is gone for a caller with some flags, in milliseconds since 1970.</summary>
    public static long DeadlineOf(EntryHeader header, HybridCacheEntryFlags flags) => Math.Max(
        (flags & HybridCacheEntryFlags.DisableDistributedCacheRead) == 0 ? header.Expires : 0,
        (flags & HybridCacheEntryFlags.DisableLocalCacheRead) == 0 ? header.LocalExpires : 0);

    private static TimeSpan? Positive(TimeSpan? span, string property, string parameter) => span is null || span.Value > TimeSpan.Zero
        ? span
        : throw new ArgumentOutOfRangeException(parameter, span.Value, Invariant($"{nameof(HybridCacheEntryOptions)}.{property} is {span.Value}; it must be greater than zero."));
}
