using KvStore.Rules;

namespace KvStore;

/// <summary>How much memory a namespace may take, and what happens when it is full.</summary>
public sealed record KvMemoryOptions
{
    /// <summary>The lowest budget: 1 MiB.</summary>
    public const long BytesMaxMin = 1L << 20;

    /// <summary>
    /// The bytes of memory that entries and indexes may take (<see cref="KvNamespace.MemoryBytes"/>), at least 1 MiB; null for no limit.
    /// </summary>
    /// <remarks>
    /// Counted are records, the indexes, what has been overwritten or deleted and not been cleaned up yet, and room that is not used
    /// yet. Values in files do not count. Memory that a caller keeps alive by a <see cref="KvValue"/> after its entry has gone does
    /// not count either.
    /// </remarks>
    public long? BytesMax { get; init; }

    /// <summary>What happens to a put that would exceed <see cref="BytesMax"/>. Default <see cref="KvMemoryPolicy.Refuse"/>.</summary>
    public KvMemoryPolicy WhenFull { get; init; } = KvMemoryPolicy.Refuse;

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it, its value and the range.</exception>
    internal void Validate()
    {
        if (BytesMax < BytesMaxMin)
        {
            throw OutOfRange.Exception(
                $"{nameof(KvMemoryOptions)}.{nameof(BytesMax)}",
                BytesMax,
                Invariant($"{nameof(KvMemoryOptions)}.{nameof(BytesMax)} is {BytesMax}; it must be at least {BytesMaxMin} (1 MiB)."));
        }

        if (!Enum.IsDefined(WhenFull))
        {
            throw OutOfRange.Exception(
                $"{nameof(KvMemoryOptions)}.{nameof(WhenFull)}",
                (int)WhenFull,
                Invariant($"{nameof(KvMemoryOptions)}.{nameof(WhenFull)} is {(int)WhenFull}; it must be {nameof(KvMemoryPolicy.Refuse)} or {nameof(KvMemoryPolicy.Evict)}."));
        }

        if (WhenFull == KvMemoryPolicy.Evict && BytesMax is null)
        {
            throw new ArgumentException(
                $"{nameof(KvMemoryOptions)}.{nameof(WhenFull)} is {nameof(KvMemoryPolicy.Evict)}, but {nameof(BytesMax)} is not set, so nothing would ever be evicted. Set {nameof(BytesMax)}.",
                $"{nameof(KvMemoryOptions)}.{nameof(WhenFull)}");
        }
    }
}

/// <summary>What a namespace does with a put that would exceed its budget for memory.</summary>
public enum KvMemoryPolicy
{
    /// <summary>The put fails with 507. Deletes, and puts that do not make an entry larger, go through.</summary>
    Refuse,

    /// <summary>Entries that are likely to be needed least leave to make room, on disk as well where the namespace persists.</summary>
    Evict,
}
