namespace KvStore;

/// <summary>What is stored with a value. Whatever is left out is cleared: nothing is kept from the value before.</summary>
public sealed record KvPutOptions
{
    /// <summary>
    /// How long the entry lives, in whole seconds from now; at least 60 seconds (<see cref="KvLimits.ExpirationTtlMin"/>).
    /// Wins over <see cref="Expiration"/>. Source: Workers KV, "Expiring keys", <c>expirationTtl</c>.
    /// </summary>
    public TimeSpan? ExpirationTtl { get; init; }

    /// <summary>
    /// When the entry is gone, in whole seconds since the Unix epoch; at least 60 seconds from now and at most
    /// 2038-01-19T03:14:07Z. Source: Workers KV, "Expiring keys", <c>expiration</c>.
    /// </summary>
    public DateTimeOffset? Expiration { get; init; }

    /// <summary>
    /// JSON kept beside the value and returned by list; at most 1,024 bytes in its compact form
    /// (<see cref="KvLimits.MetadataBytesMax"/>). JSON <c>null</c> is none.
    /// </summary>
    public KvMetadata Metadata { get; init; }
}
