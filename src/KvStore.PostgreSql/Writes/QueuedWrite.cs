using System.Diagnostics;

namespace KvStore.PostgreSql.Writes;

/// <summary>A write that waits to be committed, or is being committed.</summary>
/// <remarks>
/// What waits for a write goes on in the thread pool, where it may take its time, and not where the next ones are committed; unless
/// <see cref="CompleteHere"/> says otherwise. A write ends once.
/// </remarks>
internal sealed class QueuedWrite(in KvEngineWrite write) : TaskCompletionSource<KvEngineOutcome>, IThreadPoolWorkItem
{
    private readonly KvEngineWrite _write = write;
    private KvEngineOutcome _outcome;
    private Exception? _failure;
    private CancellationToken _cancelled;

    public ref readonly KvEngineWrite Write => ref _write;

    public KvMutation Mutation => _write.Mutation;

    public ReadOnlyMemory<byte> Key => _write.Mutation.Key;

    /// <summary>When it began to wait.</summary>
    public long QueuedAt { get; } = TimeProvider.System.GetTimestamp();

    /// <summary>The earlier put of the same key whose place this put takes; null for none.</summary>
    public QueuedWrite? Superseded { get; set; }

    public Task<KvEngineOutcome> Done => Task;

    /// <summary>Whether nothing is written: everything that was queued before is committed first, and nothing that is queued afterwards.</summary>
    public bool IsBarrier => Key.IsEmpty;

    public bool IsPlainPut => _write is { Operation: KvEngineOperation.Put, IsConditional: false };

    /// <summary>About how many bytes are sent for it.</summary>
    public long Bytes => Key.Length + _write.Mutation.Metadata.Length + _write.Mutation.Value.Length;

    /// <summary>
    /// Fails the writes that come after the write of a call that has failed. A put whose place such a write took is made itself, unless it has
    /// failed in the same way.
    /// </summary>
    /// <returns>The others.</returns>
    public static List<QueuedWrite> WithoutFailed(IReadOnlyList<QueuedWrite> writes)
    {
        var sound = new List<QueuedWrite>(writes.Count);
        foreach (var write in writes)
        {
            var newest = write;
            while (newest?.Write.Group?.Failure is { } failure)
            {
                newest = newest.FailAlone(failure);
            }

            if (newest is not null)
            {
                sound.Add(newest);
            }
        }

        return sound;
    }

    /// <summary>Fails the write, and not the puts whose place it took.</summary>
    /// <returns>The newest of those; null for none.</returns>
    public QueuedWrite? FailAlone(Exception exception)
    {
        var earlier = Superseded;
        Superseded = null;
        Fail(exception);
        return earlier;
    }

    /// <summary>The write has ended. The puts whose place it took were made before it.</summary>
    public void Complete(in KvEngineOutcome outcome)
    {
        _outcome = outcome;
        End();
        for (var earlier = Superseded; earlier is not null; earlier = earlier.Superseded)
        {
            earlier._outcome = new KvEngineOutcome { Holds = true };
            earlier.End();
        }
    }

    /// <summary>The write has ended, and what waits for it goes on in this call. Requires: it took the place of no other.</summary>
    public void CompleteHere(in KvEngineOutcome outcome)
    {
        Debug.Assert(Superseded is null, "What waits for the others goes on elsewhere.");
        TrySetResult(outcome);
    }

    public void Fail(Exception exception)
    {
        for (var write = this; write is not null; write = write.Superseded)
        {
            write._write.Group?.Fail(exception);
            write._failure = exception;
            write.End();
        }
    }

    public void Cancel(CancellationToken cancellationToken)
    {
        _cancelled = cancellationToken;
        End();
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_cancelled.IsCancellationRequested)
        {
            TrySetCanceled(_cancelled);
        }
        else if (_failure is not null)
        {
            TrySetException(_failure);
        }
        else
        {
            TrySetResult(_outcome);
        }
    }

    private void End() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
}
