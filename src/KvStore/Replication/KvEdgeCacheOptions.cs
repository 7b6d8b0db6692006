using KvStore.Rules;

namespace KvStore;

/// <summary>How regions cache the results of reads, as Workers KV does. Source: Workers KV, "How KV works".</summary>
/// <remarks>
/// A region serves a cached result, or the cached absence of a key, until the result runs out, although the key is written in
/// another region. A write removes its key, and the lists that the key belongs to, from the cache of its own region.
/// </remarks>
public sealed record KvEdgeCacheOptions
{
    /// <summary>
    /// How long a result is served to reads without a <see cref="KvGetOptions.CacheTtl"/>, and to lists. Default 60 seconds; at least
    /// <see cref="KvLimits.CacheTtlMin"/>.
    /// </summary>
    public TimeSpan CacheTtl { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Whether keys that are read often are refreshed before they run out. The first read in the last quarter of a key's time
    /// refreshes the key when it is at least the third read that the cache serves. This read still returns the cached result.
    /// Default false.
    /// </summary>
    public bool RefreshHotKeys { get; init; }

    /// <summary>
    /// The most keys that each region caches, and the most pages of lists. The oldest are evicted first. Default 100,000; at least 1.
    /// </summary>
    public int EntriesMax { get; init; } = 100_000;

    internal void Validate(KvLimits limits)
    {
        var longest = TimeSpan.FromSeconds(int.MaxValue);
        if (CacheTtl < limits.CacheTtlMin || CacheTtl > longest)
        {
            throw OutOfRange(nameof(CacheTtl), CacheTtl, $"{limits.CacheTtlMin} ({nameof(KvLimits)}.{nameof(KvLimits.CacheTtlMin)}) to {longest}");
        }

        if (EntriesMax < 1)
        {
            throw OutOfRange(nameof(EntriesMax), EntriesMax, "at least 1");
        }
    }

    private static ArgumentOutOfRangeException OutOfRange(string option, object value, string range) => Rules.OutOfRange.Exception(
        $"{nameof(KvEdgeCacheOptions)}.{option}", value, Invariant($"{nameof(KvEdgeCacheOptions)}.{option} is {value}; it must be {range}."));
}
