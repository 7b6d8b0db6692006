namespace KvStore;

/// <summary>How a key is read.</summary>
public sealed record KvGetOptions
{
    /// <summary>
    /// How long a region may serve a cached result, in whole seconds; at least 30 seconds
    /// (<see cref="KvLimits.CacheTtlMin"/>), 60 when null. It is always checked. It has an effect only in a region that caches: a
    /// namespace without regions is never stale. Source: Workers KV, "Read key-value pairs", <c>cacheTtl</c>.
    /// </summary>
    public TimeSpan? CacheTtl { get; init; }
}
