namespace KvStore.Persistence.Log;

/// <summary>
/// Begins long work on a thread of its own: callers that block, while they wait for it, may hold every thread of the thread pool.
/// </summary>
internal static class OwnThread
{
    /// <summary>Begins the work.</summary>
    /// <param name="work">The work. What it does after its first wait continues where that wait ends.</param>
    /// <param name="cancellationToken">Cancels it before it has begun.</param>
    public static Task<T> RunAsync<T>(Func<T> work, CancellationToken cancellationToken)
    {
        try
        {
            return Task.Factory.StartNew(work, cancellationToken, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        }
        catch (TaskSchedulerException)
        {
            // No thread can be started, since memory or a limit of the process is used up. The pool has some.
            return Task.Run(work, cancellationToken);
        }
    }
}
