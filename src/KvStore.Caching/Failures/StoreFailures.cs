using Microsoft.Extensions.Logging;

namespace KvStore.Failures;

/// <summary>Logs failures of the store: the first at once, and then at most one in ten seconds, with the number of those between.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed partial class StoreFailures(ILogger logger, string name, TimeProvider clock)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    private long _lastLogged = long.MinValue;
    private int _unlogged;

    /// <summary>
    /// Whether an exception says that the store failed, or refused what the adapter asked of it, so that a cache goes on without it. The
    /// arguments of the caller have been checked before.
    /// </summary>
    public static bool IsOne(Exception exception) =>
        exception is KvException or KvPersistenceException or KvArgumentException or ObjectDisposedException or IOException or UnauthorizedAccessException;

    /// <summary>Reports a failure.</summary>
    /// <param name="operation">What was asked for: <c>get</c>.</param>
    /// <param name="exception">How it failed.</param>
    public void Report(string operation, Exception exception)
    {
        if (exception is ObjectDisposedException)
        {
            // The host shuts down; the cache is not needed any more.
            Disposed(logger, name, operation);
            return;
        }

        var now = clock.GetTimestamp();
        var last = Volatile.Read(ref _lastLogged);
        if ((last != long.MinValue && clock.GetElapsedTime(last, now) < s_interval) || Interlocked.CompareExchange(ref _lastLogged, now, last) != last)
        {
            Interlocked.Increment(ref _unlogged);
            return;
        }

        Failed(logger, exception, name, operation, Interlocked.Exchange(ref _unlogged, 0));
    }

    [LoggerMessage(1, LogLevel.Warning, "The KV namespace {Namespace} has failed, and the cache goes on without it: a read finds nothing, and a write is left out. Operation: {Operation}. Failures since the last message of this kind: {Unlogged}")]
    private static partial void Failed(ILogger logger, Exception exception, string @namespace, string operation, int unlogged);

    [LoggerMessage(2, LogLevel.Debug, "The KV namespace {Namespace} was disposed before a {Operation} of the cache, which does nothing")]
    private static partial void Disposed(ILogger logger, string @namespace, string operation);
}
