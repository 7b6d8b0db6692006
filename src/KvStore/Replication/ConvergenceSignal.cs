namespace KvStore.Replication;

/// <summary>Counts what is on its way, and tells who waits for the moment when nothing is.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ConvergenceSignal
{
    private long _pendingCount;
    private TaskCompletionSource? _waiting;

    /// <summary>How many mutations are on their way, counted once for each region that has not heard.</summary>
    public long PendingCount => Volatile.Read(ref _pendingCount);

    /// <summary>More or fewer are on their way. Throws nothing: it is called in the middle of a change.</summary>
    public void Count(int change)
    {
        if (Interlocked.Add(ref _pendingCount, change) == 0)
        {
            try
            {
                Interlocked.Exchange(ref _waiting, null)?.TrySetResult();
            }
            catch (OutOfMemoryException)
            {
                // The task has completed. What failed is to hand the code of whoever awaits it to the thread pool.
            }
        }
    }

    /// <summary>Completes when nothing is on its way; at once, when nothing is now.</summary>
    public Task WaitAsync(CancellationToken cancellationToken)
    {
        if (PendingCount == 0)
        {
            return Task.CompletedTask;
        }

        var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = Interlocked.CompareExchange(ref _waiting, mine, null) ?? mine;

        // The last one may have arrived before there was anybody to tell.
        if (PendingCount == 0)
        {
            waiting.TrySetResult();
            Interlocked.CompareExchange(ref _waiting, null, waiting);
        }

        return waiting.Task.WaitAsync(cancellationToken);
    }
}
