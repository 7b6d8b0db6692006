using KvStore.Access;
using KvStore.Requests;
using KvStore.Transport;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvStore.Rest;

/// <summary>
/// The Cloudflare v4 REST API for Workers KV: finds the resource and the namespace, lets in who may come in, and turns what
/// goes wrong into the answer that clients know.
/// </summary>
internal sealed partial class ApiEndpoint(KvNamespaceCatalog catalog, KvApiOptions options, ILogger<ApiEndpoint> logger)
{
    private readonly Gate _gate = new(options.Tokens);
    private readonly AllowedHosts? _hosts = options.IsAnonymous ? new AllowedHosts(options.Hosts, takesAddresses: true) : null;
    private readonly NamespacesResource _namespaces = new(catalog);
    private readonly BulkResource _bulk = new(options);

    /// <summary>Answers a request. A get of a value that lies in memory completes synchronously.</summary>
    public Task HandleAsync(HttpContext context)
    {
        var body = ChunkedBody.Begin(context);
        var answer = AnswerAsync(context);
        return body is null ? answer : EndAsync(answer, body);
    }

    private static async Task EndAsync(Task answer, ChunkedBody body)
    {
        await answer.ConfigureAwait(false);
        body.End();
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

    private Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry)
    {
        var request = context.Request;
        _hosts?.Check(request);
        var token = options.IsAnonymous ? Gate.Anybody : _gate.Recognise(request.Headers.Authorization);
        if (token is null)
        {
            throw new RefusedException(Failure.Unauthenticated);
        }

        var route = ApiRoute.Of(RawTarget.PathOf(context), options.Prefix);
        var method = request.Method;
        switch (route.Resource)
        {
            case ApiResource.None:
                throw new RefusedException(new Failure(404, 7003, "Could not route to this path, perhaps your object identifier is invalid?"));
            case ApiResource.Namespaces:
                return HttpMethods.IsGet(method) ? _namespaces.ListAsync(context, token)
                    : HttpMethods.IsPost(method) ? _namespaces.CreateAsync(context, token)
                    : throw MethodNotAllowed("GET, POST");
        }

        // Of one that the token is not for, it is not said that it exists.
        entry = catalog.Find(route.Id) is { } found && token.Covers(found) ? found : throw new RefusedException(Failure.NamespaceNotFound);
        var kv = entry.Namespace;
        switch (route.Resource)
        {
            case ApiResource.Value:
                if (HttpMethods.IsGet(method))
                {
                    return ValuesResource.GetAsync(context, kv, route.Key);
                }

                MayWrite(token, HttpMethods.IsPut(method) || HttpMethods.IsDelete(method), "GET, PUT, DELETE");
                var isPut = HttpMethods.IsPut(method);
                var key = RequestKey.Decode(route.Key, NulMarks.AreSet(context, route.Key), isPut ? "PUT" : "DELETE");
                return isPut ? ValuesResource.PutAsync(context, kv, key) : ValuesResource.DeleteAsync(context, kv, key);
            case ApiResource.Metadata:
                return HttpMethods.IsGet(method)
                    ? KeysResource.GetMetadataAsync(context, kv, RequestKey.Decode(route.Key, NulMarks.AreSet(context, route.Key), "GET"))
                    : throw MethodNotAllowed("GET");
            case ApiResource.Keys:
                return HttpMethods.IsGet(method) ? KeysResource.ListAsync(context, kv) : throw MethodNotAllowed("GET");
            case ApiResource.BulkGet:
                return HttpMethods.IsPost(method) ? _bulk.GetAsync(context, kv, token) : throw MethodNotAllowed("POST");
            case ApiResource.BulkDelete:
                MayWrite(token, HttpMethods.IsPost(method), "POST");
                return _bulk.DeleteAsync(context, kv, token);
            case ApiResource.Bulk:
                MayWrite(token, HttpMethods.IsPut(method) || HttpMethods.IsDelete(method), "PUT, DELETE");
                return HttpMethods.IsPut(method) ? _bulk.PutAsync(context, kv, token) : _bulk.DeleteAsync(context, kv, token);
            default:
                return HttpMethods.IsGet(method) ? NamespacesResource.GetAsync(context, entry)
                    : HttpMethods.IsPut(method) ? _namespaces.RenameAsync(context, token, entry)
                    : HttpMethods.IsDelete(method) ? _namespaces.DeleteAsync(context, token, entry)
                    : throw MethodNotAllowed("GET, PUT, DELETE");
        }
    }

    private static void MayWrite(KvToken token, bool isAllowedMethod, string allowed)
    {
        if (!isAllowedMethod)
        {
            throw MethodNotAllowed(allowed);
        }

        if (token.Access != KvAccess.ReadWrite)
        {
            throw new RefusedException(Failure.Forbidden);
        }
    }

    private static RefusedException MethodNotAllowed(string allowed) =>
        new(new Failure(405, 10405, $"Method not allowed; this path takes {allowed}."));

    private async Task FailAsync(HttpContext context, Exception exception, KvCatalogEntry? entry)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to be told.
            return;
        }

        if (Failure.Of(exception, isNamespaceGone: entry is not null && catalog.Find(entry.Id) is null) is not { } failure)
        {
            RequestFailed(logger, context.Request.Method, exception);
            failure = new Failure(500, 10001, "service temporarily unavailable");
        }
        else if (failure.Status == StatusCodes.Status503ServiceUnavailable)
        {
            RequestFailed(logger, context.Request.Method, exception);
        }

        if (context.Response.HasStarted)
        {
            // Too late to say why; at least it does not look complete.
            context.Abort();
            return;
        }

        context.Response.Clear();
        await Envelope.WriteAsync(context.Response, failure).ConfigureAwait(false);
    }

    [LoggerMessage(10, LogLevel.Error, "A {Method} request to the KV API failed.")]
    private static partial void RequestFailed(ILogger logger, string method, Exception exception);
}
