using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// A task that is completed on one of the <see cref="FlushThreads"/>, so that the code that waits for it needs no thread of the pool:
/// callers that block may hold all of those while they wait for exactly this code.
/// </summary>
/// <remarks>
/// <para>Where the process has no flush threads, because no log was opened, it is completed on the thread pool.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal class FlushSignal : FlushWork, IThreadPoolWorkItem
{
    // Continuations run in Run and Execute, where no lock is held.
    private readonly TaskCompletionSource _completion = new();
    private int _isSet;

    /// <summary>Completes soon after <see cref="Set"/>. Never fails.</summary>
    public Task WhenSet => _completion.Task;

    /// <summary>Completes the task soon, on another thread. May be called under a lock, and more than once. Throws nothing.</summary>
    public void Set()
    {
        if (Interlocked.Exchange(ref _isSet, 1) != 0)
        {
            return;
        }

        if (FlushThreads.Shared.AreReady)
        {
            FlushThreads.Shared.Queue(this, isParallel: false);
            return;
        }

        try
        {
            AllocationProbe.Before();
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        catch (OutOfMemoryException)
        {
            // The task is completed all the same. Its continuations may then need the thread pool, and memory.
            Complete();
        }
    }

    public override void Run(FlushThread thread)
    {
        thread.Turn();
        Complete();
    }

    void IThreadPoolWorkItem.Execute() => Complete();

    private void Complete()
    {
        try
        {
            _completion.TrySetResult();
        }
        catch (OutOfMemoryException)
        {
            // The task has completed. A continuation could not be handed to another thread.
        }
    }
}
