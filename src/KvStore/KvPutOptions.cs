using KvStore.Records;

namespace KvStore;

/// <summary>The options of a put. An option that is null is cleared: nothing is kept from the previous entry.</summary>
public sealed record KvPutOptions
{
    /// <summary>
    /// How long the entry lives, from when its value has been read; at least 60 seconds (<see cref="KvLimits.ExpirationTtlMin"/>), and
    /// at most until 2106-02-07T06:28:15Z. The entry lives at least as long and at most one second longer. It shows the expiration
    /// that the binding shows: the current second plus the whole seconds of this. Wins over <see cref="Expiration"/>. Source: Workers KV, "Expiring keys", <c>expirationTtl</c>.
    /// </summary>
    public TimeSpan? ExpirationTtl { get; init; }

    /// <summary>
    /// When the entry is gone; at least 60 seconds from now and at most 2106-02-07T06:28:15Z (4,294,967,295 seconds since the Unix
    /// epoch). Shown in whole seconds; a fraction of a second is rounded up for the life of the entry. Source: Workers KV, "Expiring keys", <c>expiration</c>.
    /// </summary>
    public DateTimeOffset? Expiration { get; init; }

    /// <summary>
    /// JSON kept beside the value and returned by list; at most 1,024 bytes in its compact form
    /// (<see cref="KvLimits.MetadataBytesMax"/>). JSON <c>null</c> is none.
    /// </summary>
    public KvMetadata Metadata { get; init; }

    /// <summary>
    /// The deadline of the entry before, which the new one keeps; it wins over both above, and may be nearer than is allowed for them.
    /// Null for none.
    /// </summary>
    internal Deadline? KeptDeadline { get; init; }
}
