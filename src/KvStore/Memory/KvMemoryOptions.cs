namespace KvStore;

/// <summary>How much memory a namespace may take, and what happens when it is full.</summary>
public sealed record KvMemoryOptions
{
    /// <summary>The lowest budget: 1 MiB.</summary>
    public const long BytesMaxMin = 1L << 20;

    /// <summary>
    /// The bytes of memory that entries and indexes may take (<see cref="KvNamespace.MemoryBytes"/>), at least 1 MiB; null for no limit.
    /// </summary>
    public long? BytesMax { get; init; }

    /// <summary>What happens to a put that would exceed <see cref="BytesMax"/>. Default <see cref="KvMemoryPolicy.Refuse"/>.</summary>
    public KvMemoryPolicy WhenFull { get; init; } = KvMemoryPolicy.Refuse;
}

/// <summary>What a namespace does with a put that would exceed its budget for memory.</summary>
public enum KvMemoryPolicy
{
    /// <summary>The put fails with 507. Deletes, and puts that make an entry smaller, go through.</summary>
    Refuse,

    /// <summary>Entries that are likely to be needed least leave to make room, on disk as well where the namespace persists.</summary>
    Evict,
}
