using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>A write that the engine has, and that is not published yet.</summary>
/// <remarks>Not thread-safe: it is one call.</remarks>
internal sealed class SentWrite(
    KvEngineOperation operation, byte[] key, ulong hash, RecordDraft draft, Deadline deadline, Overtaking? overtaking, int epoch)
{
    public KvEngineOperation Operation => operation;

    public byte[] Key => key;

    public ulong Hash => hash;

    /// <summary>The record of a put; none for any other write.</summary>
    public RecordDraft Draft => draft;

    /// <summary>The deadline of a touch.</summary>
    public Deadline Deadline => deadline;

    public Overtaking? Overtaking => overtaking;

    /// <summary>See <see cref="CommitEpochs"/>.</summary>
    public int Epoch => epoch;

    /// <summary>Completes when the engine has decided.</summary>
    public Task<KvEngineOutcome> Outcome { get; set; } = Task.FromResult(default(KvEngineOutcome));

    /// <summary>What a draft does: it puts its record, or deletes the key when there is none.</summary>
    public static KvEngineOperation OperationOf(in RecordDraft draft) => draft.IsNone ? KvEngineOperation.Delete : KvEngineOperation.Put;

    /// <summary>A write as the engine gets it.</summary>
    public static KvEngineWrite Describe(KvEngineOperation operation, in KvMutation mutation, KvCondition? condition, KvEngineGroup? group)
    {
        var (min, max) = condition?.Revisions ?? (0, long.MaxValue);
        return new KvEngineWrite { Operation = operation, Mutation = mutation, RevisionMin = min, RevisionMax = max, Group = group };
    }

    /// <summary>Completes with a commit whose revision nobody asks for.</summary>
    public static async ValueTask WithoutRevisionAsync(ValueTask<long> revision) => await revision.ConfigureAwait(false);
}
