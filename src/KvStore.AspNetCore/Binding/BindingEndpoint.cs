using System.Globalization;
using System.Net;
using KvStore.Authentication;
using KvStore.Http;
using KvStore.Transport;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KvStore.Binding;

/// <summary>
/// The server to which the open-source Workers runtime sends the operations of a KV binding. The message of an error is the reason
/// phrase, and an error has no body: the runtime does not read one, and would have to close the connection.
/// </summary>
internal sealed class BindingEndpoint(KvNamespaceCatalog catalog, KvBindingOptions options, ILogger<BindingEndpoint> logger)
    : HttpEndpoint(catalog, logger)
{
    private const string NamespaceHeader = "X-Namespace";
    private const string MetadataHeader = "CF-KV-Metadata";
    private const string BulkGetPath = "/bulk/get";
    private const long BulkGetBytesMax = 1024 * 1024;

    // The name that the runtime sends, whatever the address. No page in a browser can have it.
    private const string HostOfTheRuntime = "fake-host";

    // Headers that proxies and browsers add. The runtime adds none of them.
    private static readonly string[] s_foreignHeaders =
    [
        "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP",
        "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode",
    ];

    private readonly TokenAuthentication _authentication = new(options.Secrets);
    private readonly AllowedHosts _hosts = new([HostOfTheRuntime, .. options.Hosts], takesAddresses: options.IsAnonymous);

    protected override Failure ServerFault { get; } = new(500, 0, "Internal Server Error");

    protected override Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry)
    {
        var request = context.Request;
        var token = Authenticate(context) ?? throw new RefusedException(Failure.Unauthenticated);
        entry = Find(request, token);
        var kv = entry.Namespace;
        var path = RawTarget.PathOf(context);
        var method = request.Method;
        if (path.Length <= 1)
        {
            return path.Length == 1 && HttpMethods.IsGet(method) ? ListAsync(context, kv) : throw NotAllowed();
        }

        if (HttpMethods.IsPost(method))
        {
            return path.SequenceEqual(BulkGetPath) ? GetManyAsync(context, kv) : throw NotAllowed();
        }

        var operation = HttpMethods.IsGet(method) ? "GET" : HttpMethods.IsPut(method) ? "PUT" : HttpMethods.IsDelete(method) ? "DELETE" : throw NotAllowed();
        if (operation != "GET" && token.Access != KvAccess.ReadWrite)
        {
            throw new RefusedException(Failure.Forbidden);
        }

        var key = RequestKey.Decode(path[1..], NulMarks.AreSet(context, path), operation);
        return operation switch
        {
            "GET" => GetAsync(context, kv, key),
            "PUT" => PutBody.PutAsync(context, new PutTarget(kv), key, PutQuery.Read(request, Metadata(request))).AsTask(),
            _ => kv.DeleteAsync(key, context.RequestAborted).AsTask(),
        };
    }

    private KvToken? Authenticate(HttpContext context)
    {
        var request = context.Request;
        if (options.Secrets.Count > 0 && !options.IsAnonymous)
        {
            return _authentication.Authenticate(request.Headers.Authorization);
        }

        _hosts.Check(request);
        return options.IsAnonymous || (IsLoopback(context) && !s_foreignHeaders.Any(request.Headers.ContainsKey)) ? TokenAuthentication.Anonymous : null;
    }

    // A Unix socket has no address.
    private static bool IsLoopback(HttpContext context) =>
        context.Connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);

    private KvCatalogEntry Find(HttpRequest request, KvToken token)
    {
        // The header also keeps out pages in a browser, which cannot send it to another origin.
        var name = request.Headers[NamespaceHeader];
        if (name.Count != 1 || string.IsNullOrEmpty(name[0]))
        {
            throw new RefusedException(Failure.Malformed($"The header {NamespaceHeader} must hold the id or the title of a namespace."));
        }

        // A client must not learn whether a namespace exists that its secret is not for.
        return Catalog.FindByIdOrTitle(name[0]!) is { } entry && token.Covers(entry)
            ? entry
            : throw new RefusedException(Failure.NamespaceNotFound with { Status = StatusCodes.Status400BadRequest });
    }

    private static async Task GetAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var cacheTtl = context.Request.Query["cache_ttl"];
        var options = cacheTtl.Count > 0 ? new KvGetOptions { CacheTtl = Seconds.CacheTtl(cacheTtl[0]!, "GET") } : null;
        var value = await kv.GetAsync(key, options, context.RequestAborted).ConfigureAwait(false);
        var response = context.Response;
        if (!value.Exists)
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            response.ContentLength = 0;
            return;
        }

        if (!value.Metadata.IsNull)
        {
            response.Headers[MetadataHeader] = AsciiJson.Escape(value.Metadata.Utf8Json.Span);
        }

        if (value.CacheStatus is { } status)
        {
            response.Headers["CF-Cache-Status"] = status;
        }

        await ValueResponse.WriteAsync(response, kv, value).ConfigureAwait(false);
    }

    private static async Task ListAsync(HttpContext context, IKvNamespace kv)
    {
        var query = context.Request.Query;
        var limit = query["key_count_limit"] is { Count: > 0 } text
            ? int.TryParse(text[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                ? number
                : throw new KvException(400, "GET", $"Invalid key_count_limit of {text[0]}. Please specify an integer less than 1000.") { ParamName = "limit" }
            : (int?)null;
        var page = await kv.ListAsync(
            new KvListOptions { Prefix = query["prefix"], Cursor = query["cursor"], Limit = limit }, context.RequestAborted).ConfigureAwait(false);
        if (page.CacheStatus is { } status)
        {
            context.Response.Headers["CF-Cache-Status"] = status;
        }

        await BindingJson.WriteAsync(context.Response, page).ConfigureAwait(false);
    }

    private static async Task GetManyAsync(HttpContext context, IKvNamespace kv)
    {
        RequestBody.Bound(context, BulkGetBytesMax);
        var request = await BulkGetRequest.ReadAsync(context).ConfigureAwait(false);
        var values = await kv.GetManyAsync(request.Keys, request.Options, context.RequestAborted).ConfigureAwait(false);
        using var leases = new ValueLeases(kv, values.Values);
        await request.CheckValuesAsync(values.Values, context.RequestAborted).ConfigureAwait(false);
        await BindingJson.WriteAsync(context.Response, request, values).ConfigureAwait(false);
    }

    private static KvMetadata Metadata(HttpRequest request)
    {
        if (request.Headers[MetadataHeader] is not { Count: > 0 } header)
        {
            return default;
        }

        try
        {
            return KvMetadata.FromJson(header.ToString());
        }
        catch (System.Text.Json.JsonException)
        {
            // The runtime sends metadata that is not JSON for values that JSON cannot express. The service answers with this error.
            throw new KvException(500, "PUT", "Internal Server Error") { ParamName = "metadata" };
        }
    }

    private static RefusedException NotAllowed() => new(new Failure(405, 0, "Method Not Allowed"));

    protected override Task WriteFailureAsync(HttpContext context, Failure failure)
    {
        var response = context.Response;

        // The runtime takes 404 and 410 for a key that does not exist.
        response.StatusCode = failure.Status is 404 or 410 ? 400 : failure.Status;
        response.ContentLength = 0;
        context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = ReasonPhrase.Of(failure.Message);
        return Task.CompletedTask;
    }
}
