using System.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;

namespace KvStore.Writes;

/// <summary>
/// The condition of one conditional write: checks it at the moment at which the write is decided, and knows how the write ended.
/// </summary>
/// <remarks>
/// <para>With persistence a mutation is decided before it is appended, under the lock of <see cref="CallOrder"/>: see
/// <see cref="IsMadeBy"/>. In memory alone it is decided when it is published, under the lock of the shard, because other writers may
/// hold no other lock: see <see cref="OnPublishing"/>.</para>
/// <para>The regions are notified of a write whose condition holds, and of no other.</para>
/// <para>Without a condition it finds out whether the key existed, for a write that is made in any case.</para>
/// <para>Thread safety: none; the call that makes the write uses one member after the other.</para>
/// </remarks>
internal sealed class ConditionCheck(KvCondition? condition, ShardedStore store, ReplicatedWrite? replicated) : PublicationObserver
{
    private long _standingRevision;

    /// <summary>Whether the condition held when it was checked last.</summary>
    public bool Holds { get; private set; }

    /// <summary>Whether the write is made: the condition held, and there is something to change.</summary>
    public bool IsMade { get; private set; }

    /// <summary>Whether the outcome of the write depends on the entry that the key has.</summary>
    public bool IsConditional => condition is not null;

    /// <summary>What must hold; null where there is no condition.</summary>
    public KvCondition? Condition => condition;

    /// <summary>Whether the key existed when the write was decided.</summary>
    public bool Existed => _standingRevision != 0;

    /// <summary>The engine has decided the write: a delete that changed something has found an entry.</summary>
    public void NoteOutcome(in KvEngineOutcome outcome)
    {
        Holds = outcome.Holds;
        IsMade = outcome.IsMade;
        _standingRevision = outcome.IsMade ? outcome.Revision : outcome.StandingRevision;
    }

    /// <summary>Checks the condition against the newest state.</summary>
    /// <param name="key">The key.</param>
    /// <param name="isDelete">Whether the write is a delete, which changes nothing where there is no entry.</param>
    /// <returns>Whether the write is to be made.</returns>
    public bool IsMadeBy<TKey>(in TKey key, bool isDelete)
        where TKey : struct, IKey, allows ref struct =>
        IsMadeAt(store.TryFind(key, out var record) ? record.Revision : 0, isDelete);

    public override bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest)
    {
        var standing = before.IsNone || store.HasPassed(before.Deadline) ? 0 : before.Revision;
        return IsMadeAt(standing, isDelete: after.IsNone)
            && (replicated is null || replicated.OnPublishing(key, hash, before, after, revision, isNewest));
    }

    /// <summary>How the write ended.</summary>
    /// <param name="revision">The revision that it got, where it was made.</param>
    public KvWriteResult Result(long revision)
    {
        Debug.Assert(!IsMade || revision > 0, "A write that was made has a revision.");
        return new KvWriteResult(Holds, IsMade ? revision : _standingRevision);
    }

    private bool IsMadeAt(long standingRevision, bool isDelete)
    {
        _standingRevision = standingRevision;
        Holds = condition?.HoldsFor(standingRevision) ?? true;
        IsMade = Holds && !(IsConditional && isDelete && standingRevision == 0);
        return IsMade;
    }
}
