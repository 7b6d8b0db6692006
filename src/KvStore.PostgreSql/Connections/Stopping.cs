namespace KvStore.PostgreSql.Connections;

/// <summary>Stops the loops that use connections.</summary>
internal static class Stopping
{
    /// <summary>
    /// Cancels what a loop waits for. The driver's part in that may find that its connection, which was cut at the same moment, is disposed
    /// already; then there is nothing left to cancel.
    /// </summary>
    public static async ValueTask StopAsync(this CancellationTokenSource source)
    {
        try
        {
            await source.CancelAsync().ConfigureAwait(false);
        }
        catch (AggregateException e) when (e.Flatten().InnerExceptions.All(static inner => inner is ObjectDisposedException))
        {
            // All callbacks have been called: one that fails does not keep the others from it.
        }
    }
}
