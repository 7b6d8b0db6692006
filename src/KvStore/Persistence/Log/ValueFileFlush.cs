using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The flush of a file with a large value, on one of the <see cref="FlushThreads"/>: callers that block may hold every thread of the
/// thread pool while they wait for it.
/// </summary>
internal sealed class ValueFileFlush : FlushWork
{
    // What the caller does next runs where the flush ends, as after an append.
    private readonly TaskCompletionSource _completion = new();
    private readonly Action _flush;

    private ValueFileFlush(Action flush) => _flush = flush;

    /// <summary>Flushes.</summary>
    /// <param name="flush">Flushes the file, and throws what that failed with.</param>
    /// <exception cref="OutOfMemoryException">Nothing has begun.</exception>
    public static Task RunAsync(Action flush)
    {
        AllocationProbe.Before();
        var work = new ValueFileFlush(flush);
        FlushThreads.Shared.Queue(work, isParallel: false);
        return work._completion.Task;
    }

    public override void Run(FlushThread thread)
    {
        thread.Turn();
        Exception? failure = null;
        try
        {
            _flush();
        }
        catch (Exception e)
        {
            failure = e;
        }

        try
        {
            if (failure is null)
            {
                _completion.TrySetResult();
            }
            else
            {
                _completion.TrySetException(failure);
            }
        }
        catch (OutOfMemoryException)
        {
            // The task has completed. A continuation could not be handed to another thread.
        }
    }
}
