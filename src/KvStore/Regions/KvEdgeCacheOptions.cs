using KvStore.Rules;

namespace KvStore;

/// <summary>How regions cache what they read, as the classic service does. Source: Workers KV, "How KV works".</summary>
/// <remarks>
/// A region that has cached a key, or the fact that there is no such key, goes on serving that until it runs out, whatever
/// is written elsewhere. A write drops what its own region has cached of the key, and listings that the key belongs to.
/// </remarks>
public sealed record KvEdgeCacheOptions
{
    /// <summary>
    /// How long what was read is served by a read that says nothing else (<see cref="KvGetOptions.CacheTtl"/>), and
    /// listings. Default 60 seconds; at least <see cref="KvLimits.CacheTtlMin"/>.
    /// </summary>
    public TimeSpan CacheTtl { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Whether keys that are read often are refreshed before they run out: by the first read in the last quarter of a key's
    /// time, if it is at least the third that is served from the cache. It still gets what was cached. Default false.
    /// </summary>
    public bool RefreshHotKeys { get; init; }

    /// <summary>The most keys that each region caches, and the most listings; the oldest make room. Default 100,000; at least 1.</summary>
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
