namespace KvStore.PostgreSql.Writes;

/// <summary>A write that waits to be committed, or is being committed.</summary>
internal sealed class QueuedWrite(in KvEngineWrite write)
{
    // What waits for a write goes on in the thread pool, and not in the loop that commits the next ones.
    private readonly TaskCompletionSource<KvEngineOutcome> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public KvEngineWrite Write { get; } = write;

    public ReadOnlyMemory<byte> Key => Write.Mutation.Key;

    /// <summary>The earlier put of the same key whose place this put takes; null for none.</summary>
    public QueuedWrite? Superseded { get; set; }

    public Task<KvEngineOutcome> Done => _done.Task;

    /// <summary>Whether nothing is written: everything that was queued before is committed first, and nothing that is queued afterwards.</summary>
    public bool IsBarrier => Key.IsEmpty;

    public bool IsPlainPut => Write is { Operation: KvEngineOperation.Put, IsConditional: false };

    /// <summary>About how many bytes are sent for it.</summary>
    public long Bytes => Write.Mutation.Key.Length + Write.Mutation.Metadata.Length + Write.Mutation.Value.Length;

    /// <summary>The write has ended. The puts whose place it took were made before it.</summary>
    public void Complete(in KvEngineOutcome outcome)
    {
        _done.TrySetResult(outcome);
        for (var earlier = Superseded; earlier is not null; earlier = earlier.Superseded)
        {
            earlier._done.TrySetResult(new KvEngineOutcome { Holds = true });
        }
    }

    public void Fail(Exception exception)
    {
        Write.Group?.Fail(exception);
        _done.TrySetException(exception);
        for (var earlier = Superseded; earlier is not null; earlier = earlier.Superseded)
        {
            earlier.Write.Group?.Fail(exception);
            earlier._done.TrySetException(exception);
        }
    }

    public void Cancel(CancellationToken cancellationToken) => _done.TrySetCanceled(cancellationToken);
}
