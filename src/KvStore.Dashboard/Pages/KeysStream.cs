using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>Notifies the script of a page of keys, as server-sent events, that keys of its prefix have changed; at most once a second.</summary>
internal static class KeysStream
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    // After that the browser connects again, and is authenticated again.
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(10);

    private static readonly ReadOnlyMemory<byte> s_changed = "data: changed\n\n"u8.ToArray();

    /// <summary>Whether the keys of a namespace can be followed.</summary>
    public static bool IsPossible(Visit visit) => visit.Entry.Namespace is IKvExtendedNamespace;

    public static async Task WriteAsync(Visit visit)
    {
        var kv = visit.Entry.Namespace as IKvExtendedNamespace
            ?? throw new RefusedException(new Failure(StatusCodes.Status404NotFound, 0, "This namespace does not tell of its changes."));
        var slots = visit.Dashboard.KeysSlots;
        if (!slots.Wait(0, CancellationToken.None))
        {
            throw new RefusedException(new Failure(StatusCodes.Status503ServiceUnavailable, 0, Invariant($"{visit.Dashboard.Options.WatchersMax} pages of keys follow changes, which is the limit.")));
        }

        using var ending = CancellationTokenSource.CreateLinkedTokenSource(visit.Aborted, visit.Dashboard.Stopping);
        try
        {
            await WriteAsync(visit, kv, new KvWatchOptions { Prefix = visit.Query("prefix") }, ending.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (ending.IsCancellationRequested)
        {
            // The page was left, or the server stops.
        }
        finally
        {
            slots.Release();
        }
    }

    private static async Task WriteAsync(Visit visit, IKvExtendedNamespace kv, KvWatchOptions options, CancellationToken cancellationToken)
    {
        var time = visit.Dashboard.Time;
        var begun = time.GetTimestamp();
        var body = visit.Http.Response.BodyWriter;
        var message = EventStream.Beginning;
        while (time.GetElapsedTime(begun) < s_longest)
        {
            // The watch begins before the page is notified of the changes so far. So one change is enough for each notification, and
            // nothing piles up.
            using var watching = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var changes = kv.WatchAsync(options, watching.Token).GetAsyncEnumerator(CancellationToken.None);
            var next = changes.MoveNextAsync().AsTask();
            try
            {
                if (!visit.Http.Response.HasStarted)
                {
                    EventStream.Begin(visit.Http);
                }

                await body.WriteAsync(message, cancellationToken).ConfigureAwait(false);
                while (await Task.WhenAny(next, Task.Delay(EventStream.HeartbeatInterval, time, watching.Token)).ConfigureAwait(false) != next)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await body.WriteAsync(EventStream.Heartbeat, cancellationToken).ConfigureAwait(false);
                    if (time.GetElapsedTime(begun) >= s_longest)
                    {
                        return;
                    }
                }

                if (!await next.ConfigureAwait(false))
                {
                    // The namespace is closed.
                    return;
                }
            }
            finally
            {
                await watching.CancelAsync().ConfigureAwait(false);
                await Task.WhenAny(next).ConfigureAwait(false);
                await changes.DisposeAsync().ConfigureAwait(false);
            }

            message = s_changed;
            await Task.Delay(s_interval, time, cancellationToken).ConfigureAwait(false);
        }
    }
}
