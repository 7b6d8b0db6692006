using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The two batches of a log. One is open; the other is the spare, is being written, or is retained.
/// </summary>
/// <remarks>Not thread-safe: it belongs to <see cref="CommitQueue"/>. Allocates nothing after its construction.</remarks>
internal sealed class RecordBatches
{
    private RecordBatch? _spare = new();

    /// <summary>Takes new records.</summary>
    public RecordBatch Open { get; private set; } = new();

    /// <summary>
    /// In the relaxed modes: what could not be written and was acknowledged; null when there is nothing. It is written before the open batch.
    /// </summary>
    public RecordBatch? Retained { get; private set; }

    /// <summary>Whether there is anything to write.</summary>
    public bool HaveWork => Open.HasWork || Retained is not null;

    /// <summary>Takes the batch that is written next. Requires: no other is being written.</summary>
    public RecordBatch Take()
    {
        var batch = Retained;
        if (batch is null)
        {
            Debug.Assert(_spare is not null, "Nothing is retained or written, so the second batch is the spare.");
            batch = Open;
            Open = _spare;
            _spare = null;
        }

        Retained = null;
        return batch;
    }

    /// <summary>Keeps a batch that was taken, to be written again behind what an attempt has written. Its callers were completed.</summary>
    public void Retain(RecordBatch batch, long writtenBytes)
    {
        Debug.Assert(Retained is null && _spare is null, "There are two batches.");
        batch.WrittenBytes = writtenBytes;
        batch.ForgetWaiting();
        Retained = batch;
    }

    /// <summary>Gives up what is retained.</summary>
    /// <returns>Whether there was anything.</returns>
    public bool DropRetained()
    {
        if (Retained is not { } retained)
        {
            return false;
        }

        Retained = null;
        Recycle(retained);
        return true;
    }

    /// <summary>Empties a batch that was taken, for the next use.</summary>
    public void Recycle(RecordBatch batch)
    {
        Debug.Assert(_spare is null, "There are two batches.");
        batch.Reset();
        _spare = batch;
    }
}
