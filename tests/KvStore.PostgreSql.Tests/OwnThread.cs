namespace KvStore.PostgreSql.Tests;

/// <summary>Loops that never wait.</summary>
internal static class OwnThread
{
    /// <summary>
    /// Runs a loop on a thread of its own. On threads of the pool, of which there are as many as processors, a few such loops leave none
    /// for what the sockets bring, and connections of this test and of others run into their timeouts.
    /// </summary>
    public static Task RunAsync(Func<Task> loop) =>
        Task.Factory.StartNew(loop, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
}
