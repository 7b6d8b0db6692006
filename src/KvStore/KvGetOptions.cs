namespace KvStore;

/// <summary>How a key is read.</summary>
public sealed record KvGetOptions
{
    /// <summary>
    /// How long a region may go on serving what it has cached, in whole seconds; at least 30 seconds
    /// (<see cref="KvLimits.CacheTtlMin"/>), 60 when null. It is checked always and matters only where a region caches:
    /// a namespace read in its own process is never stale. Source: Workers KV, "Read key-value pairs", <c>cacheTtl</c>.
    /// </summary>
    public TimeSpan? CacheTtl { get; init; }
}
