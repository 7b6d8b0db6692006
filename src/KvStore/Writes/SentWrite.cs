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
}
