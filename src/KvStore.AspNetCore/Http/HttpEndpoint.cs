using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvStore.Http;

/// <summary>
/// Runs a request of an endpoint: dispatches it, turns an exception into a failure for the client, and logs the failures
/// that are a fault of the server.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal abstract partial class HttpEndpoint(KvNamespaceCatalog catalog, ILogger logger)
{
    /// <summary>The failure that the client gets for a fault of the server.</summary>
    protected abstract Failure ServerFault { get; }

    protected KvNamespaceCatalog Catalog => catalog;

    /// <summary>Answers a request. Completes synchronously when the answer does, so a get from memory allocates no task.</summary>
    public Task HandleAsync(HttpContext context)
    {
        var body = ChunkedBody.Begin(context);
        var answer = AnswerAsync(context);
        return body is null ? answer : EndAsync(answer, body);
    }

    /// <summary>Finds what the request asks for and answers it.</summary>
    /// <param name="context">The request.</param>
    /// <param name="entry">The namespace, as soon as it is found, so that a failure shows whether it has left the catalog since.</param>
    protected abstract Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry);

    /// <summary>Writes a failure. The response has been cleared and has not started.</summary>
    protected abstract Task WriteFailureAsync(HttpContext context, Failure failure);

    private static async Task EndAsync(Task answer, ChunkedBody body)
    {
        try
        {
            await answer.ConfigureAwait(false);
        }
        finally
        {
            body.End();
        }
    }

    private Task AnswerAsync(HttpContext context)
    {
        KvCatalogEntry? entry = null;
        try
        {
            var task = DispatchAsync(context, ref entry);
            return task.IsCompletedSuccessfully ? task : AwaitAsync(task, context, entry);
        }
        catch (Exception e)
        {
            return FailAsync(context, e, entry);
        }
    }

    private async Task AwaitAsync(Task task, HttpContext context, KvCatalogEntry? entry)
    {
        try
        {
            await task.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await FailAsync(context, e, entry).ConfigureAwait(false);
        }
    }

    private Task FailAsync(HttpContext context, Exception exception, KvCatalogEntry? entry)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            // The client has gone, which explains the exception.
            return Task.CompletedTask;
        }

        var known = Failure.Of(exception, isNamespaceGone: entry is not null && catalog.Find(entry.Id) is null);
        var failure = known ?? ServerFault;
        if (known is null || failure.Status == StatusCodes.Status503ServiceUnavailable)
        {
            RequestFailed(logger, context.Request.Method, exception);
        }

        if (context.Response.HasStarted)
        {
            // Too late for a status. Without the end of the body the client does not take the answer for complete.
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.Clear();
        return WriteFailureAsync(context, failure);
    }

    [LoggerMessage(10, LogLevel.Error, "A {Method} request failed.")]
    private static partial void RequestFailed(ILogger logger, string method, Exception exception);
}
