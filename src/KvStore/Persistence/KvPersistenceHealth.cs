namespace KvStore;

/// <summary>Whether a persistence provider takes mutations.</summary>
public enum KvPersistenceStatus
{
    /// <summary>Everything works.</summary>
    Healthy,

    /// <summary>
    /// Mutations are taken, but the last write failed, as on a full disk, or background work failed, so that room is not
    /// freed; that passes with the next one that succeeds. Or the file system lacks something that durability needs after a power
    /// cut; the reason says which.
    /// </summary>
    Degraded,

    /// <summary>It was opened to be read only: no mutations are taken.</summary>
    ReadOnly,

    /// <summary>The disk failed: no mutations are taken until <see cref="IKvPersistence.ReopenAsync"/>, or until it is opened again.</summary>
    Failed,

    /// <summary>It is not open.</summary>
    Closed,
}

/// <summary>The health of a persistence provider.</summary>
/// <param name="Status">Whether it takes mutations.</param>
/// <param name="Reason">What happened, when it is not healthy.</param>
/// <param name="Exception">The error behind it, if there is one.</param>
public sealed record KvPersistenceHealth(KvPersistenceStatus Status, string? Reason = null, Exception? Exception = null)
{
    /// <summary>Everything works.</summary>
    public static KvPersistenceHealth Healthy { get; } = new(KvPersistenceStatus.Healthy);
}
