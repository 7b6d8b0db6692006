namespace KvStore;

/// <summary>What a write does at an <see cref="IKvEngine"/>.</summary>
public enum KvEngineOperation
{
    /// <summary>Replaces value, metadata and deadline of the key.</summary>
    Put,

    /// <summary>Deletes the key; changes nothing where there is no entry.</summary>
    Delete,

    /// <summary>Gives the entry a new deadline, and keeps value and metadata; changes nothing where there is no entry.</summary>
    Touch,

    /// <summary>Checks the condition, and changes nothing.</summary>
    Check,
}

/// <summary>A write on its way to an <see cref="IKvEngine"/>.</summary>
public readonly struct KvEngineWrite
{
    /// <summary>What it does.</summary>
    public KvEngineOperation Operation { get; init; }

    /// <summary>Key, metadata, value and deadline, as the operation needs them. It has no revision yet.</summary>
    public KvMutation Mutation { get; init; }

    /// <summary>
    /// The condition: the write is made if the revision of the entry, 0 where there is none or it has expired, is at least this and at
    /// most <see cref="RevisionMax"/>.
    /// </summary>
    public long RevisionMin { get; init; }

    /// <summary>See <see cref="RevisionMin"/>. A write without a condition has 0 and <see cref="long.MaxValue"/>.</summary>
    public long RevisionMax { get; init; }

    /// <summary>The writes of one call; null for a call with one write.</summary>
    public KvEngineGroup? Group { get; init; }

    /// <summary>Whether the write depends on the entry that the key has.</summary>
    public bool IsConditional => RevisionMin != 0 || RevisionMax != long.MaxValue;
}

/// <summary>The writes of one call, in their order: after one has failed, those behind it are not made.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
public sealed class KvEngineGroup
{
    private volatile Exception? _failure;

    /// <summary>Why a write of the group failed; null while none has.</summary>
    public Exception? Failure => _failure;

    /// <summary>Notes that a write of the group failed. The first failure stays.</summary>
    /// <param name="failure">Why.</param>
    public void Fail(Exception failure) => Interlocked.CompareExchange(ref _failure, failure, comparand: null);
}

/// <summary>How a write at an <see cref="IKvEngine"/> ended.</summary>
public readonly record struct KvEngineOutcome
{
    /// <summary>Whether the condition held.</summary>
    public bool Holds { get; init; }

    /// <summary>Whether something was changed. Otherwise there was nothing to delete, or a later put of the same key took its place.</summary>
    public bool IsMade { get; init; }

    /// <summary>The revision that the engine gave, when something was changed.</summary>
    public long Revision { get; init; }

    /// <summary>
    /// The revision of the entry that stood when the condition did not hold; 0 for none. The engine has passed that entry, or the delete,
    /// to the host.
    /// </summary>
    public long StandingRevision { get; init; }

    /// <summary>
    /// The revision of the entry that a touch gave a new deadline. Where the host does not have that entry, the engine has passed it the
    /// new one.
    /// </summary>
    public long TouchedRevision { get; init; }
}
