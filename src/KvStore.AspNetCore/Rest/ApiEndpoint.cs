using KvStore.Authentication;
using KvStore.Http;
using KvStore.Transport;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace KvStore.Rest;

/// <summary>
/// The Cloudflare v4 REST API for Workers KV: authenticates a request, finds its resource and namespace, and writes failures in the
/// form that clients know.
/// </summary>
internal sealed class ApiEndpoint(KvNamespaceCatalog catalog, KvApiOptions options, ILogger<ApiEndpoint> logger) : HttpEndpoint(catalog, logger)
{
    private readonly TokenAuthentication _authentication = new(options.Tokens);
    private readonly AllowedHosts? _hosts = options.IsAnonymous ? new AllowedHosts(options.Hosts, takesAddresses: true) : null;
    private readonly NamespacesResource _namespaces = new(catalog);
    private readonly BulkResource _bulk = new(options);
    private readonly ChangesResource _changes = new(options);

    protected override Failure ServerFault { get; } = new(500, Failure.UnavailableCode, "service temporarily unavailable");

    protected override Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry)
    {
        var request = context.Request;
        _hosts?.Check(request);
        var token = options.IsAnonymous ? TokenAuthentication.Anonymous : _authentication.Authenticate(request.Headers.Authorization);
        if (token is null)
        {
            throw new RefusedException(Failure.Unauthenticated);
        }

        var route = ApiRoute.Of(RawTarget.PathOf(context), options.Prefix);
        var method = request.Method;
        if (route.Resource is not (ApiResource.Value or ApiResource.BulkGet) && !HttpMethods.IsGet(method))
        {
            // A write whose condition nobody looks at is one that the client did not ask for.
            Preconditions.Refuse(request);
        }

        switch (route.Resource)
        {
            case ApiResource.None:
                throw new RefusedException(new Failure(404, 7003, "Could not route to this path, perhaps your object identifier is invalid?"));
            case ApiResource.Namespaces:
                return HttpMethods.IsGet(method) ? _namespaces.ListAsync(context, token)
                    : HttpMethods.IsPost(method) ? _namespaces.CreateAsync(context, token)
                    : throw MethodNotAllowed("GET, POST");
        }

        // A client must not learn whether a namespace exists that its token is not for.
        entry = Catalog.Find(route.Id) is { } found && token.Covers(found) ? found : throw new RefusedException(Failure.NamespaceNotFound);
        var kv = entry.Namespace;
        switch (route.Resource)
        {
            case ApiResource.Value:
                if (HttpMethods.IsGet(method))
                {
                    return ValuesResource.GetAsync(context, kv, route.Key);
                }

                CheckMayWrite(token, HttpMethods.IsPut(method) || HttpMethods.IsDelete(method), "GET, PUT, DELETE");
                var isPut = HttpMethods.IsPut(method);
                var key = RequestKey.Decode(route.Key, NulMarks.AreSet(context, route.Key), isPut ? "PUT" : "DELETE");
                return isPut ? ValuesResource.PutAsync(context, kv, key) : ValuesResource.DeleteAsync(context, kv, key);
            case ApiResource.Metadata:
                return HttpMethods.IsGet(method)
                    ? KeysResource.GetMetadataAsync(context, kv, RequestKey.Decode(route.Key, NulMarks.AreSet(context, route.Key), "GET"))
                    : throw MethodNotAllowed("GET");
            case ApiResource.Keys:
                return HttpMethods.IsGet(method) ? KeysResource.ListAsync(context, kv) : throw MethodNotAllowed("GET");
            case ApiResource.Changes:
                return HttpMethods.IsGet(method) ? _changes.WatchAsync(context, kv, token) : throw MethodNotAllowed("GET");
            case ApiResource.BulkGet:
                return HttpMethods.IsPost(method) ? _bulk.GetAsync(context, kv, token) : throw MethodNotAllowed("POST");
            case ApiResource.BulkDelete:
                CheckMayWrite(token, HttpMethods.IsPost(method), "POST");
                return _bulk.DeleteAsync(context, kv, token);
            case ApiResource.Bulk:
                CheckMayWrite(token, HttpMethods.IsPut(method) || HttpMethods.IsDelete(method), "PUT, DELETE");
                return HttpMethods.IsPut(method) ? _bulk.PutAsync(context, kv, token) : _bulk.DeleteAsync(context, kv, token);
            default:
                return HttpMethods.IsGet(method) ? NamespacesResource.GetAsync(context, entry)
                    : HttpMethods.IsPut(method) ? _namespaces.RenameAsync(context, token, entry)
                    : HttpMethods.IsDelete(method) ? _namespaces.DeleteAsync(context, token, entry)
                    : throw MethodNotAllowed("GET, PUT, DELETE");
        }
    }

    private static void CheckMayWrite(KvToken token, bool isAllowedMethod, string allowed)
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

    protected override Task WriteFailureAsync(HttpContext context, Failure failure) => Envelope.WriteAsync(context.Response, failure);
}
