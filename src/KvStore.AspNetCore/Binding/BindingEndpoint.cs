using System.Globalization;
using System.Net;
using KvStore.Access;
using KvStore.Requests;
using KvStore.Transport;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace KvStore.Binding;

/// <summary>
/// The server that the open-source Workers runtime sends the operations of a KV binding to. The text of an error travels in the
/// reason phrase, and an error has no body: the runtime reads none, and would have to close the connection.
/// </summary>
internal sealed partial class BindingEndpoint(KvNamespaceCatalog catalog, KvBindingOptions options, ILogger<BindingEndpoint> logger)
{
    private const string NamespaceHeader = "X-Namespace";
    private const string MetadataHeader = "CF-KV-Metadata";
    private const string BulkGetPath = "/bulk/get";
    private const long BulkGetBytesMax = 1024 * 1024;

    // What the runtime says, whatever the address: a name that no page of a browser can have.
    private const string HostOfTheRuntime = "fake-host";

    // What proxies add and what browsers add. The runtime adds none of them.
    private static readonly string[] s_fromElsewhere =
    [
        "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP",
        "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode",
    ];

    private readonly Gate _gate = new(options.Secrets);
    private readonly AllowedHosts _hosts = new([HostOfTheRuntime, .. options.Hosts], takesAddresses: options.IsAnonymous);

    public async Task HandleAsync(HttpContext context)
    {
        var body = ChunkedBody.Begin(context);
        KvCatalogEntry? entry = null;
        try
        {
            await DispatchAsync(context, ref entry).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            Fail(context, e, entry);
        }

        body?.End();
    }

    private Task DispatchAsync(HttpContext context, ref KvCatalogEntry? entry)
    {
        var request = context.Request;
        var token = Enter(context) ?? throw new RefusedException(Failure.Unauthenticated);
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
            "PUT" => RequestBody.PutAsync(context, kv, key, PutQuery.Read(request, Metadata(request))).AsTask(),
            _ => kv.DeleteAsync(key, context.RequestAborted).AsTask(),
        };
    }

    private KvToken? Enter(HttpContext context)
    {
        var request = context.Request;
        if (options.Secrets.Count > 0 && !options.IsAnonymous)
        {
            return _gate.Recognise(request.Headers.Authorization);
        }

        _hosts.Check(request);
        return options.IsAnonymous || (IsLoopback(context) && !s_fromElsewhere.Any(request.Headers.ContainsKey)) ? Gate.Anybody : null;
    }

    // A Unix socket has no address.
    private static bool IsLoopback(HttpContext context) =>
        context.Connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);

    private KvCatalogEntry Find(HttpRequest request, KvToken token)
    {
        // Also what keeps pages of a browser out, which cannot send the header without being allowed to.
        var name = request.Headers[NamespaceHeader];
        if (name.Count != 1 || string.IsNullOrEmpty(name[0]))
        {
            throw new RefusedException(Failure.Malformed($"The header {NamespaceHeader} must hold the id or the title of a namespace."));
        }

        // Of one that the secret is not for, it is not said that it exists.
        return catalog.FindByIdOrTitle(name[0]!) is { } entry && token.Covers(entry)
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
                : throw new KvException(400, "GET", $"Invalid key_count_limit of {text[0]}. Please specify an integer less than 1000.")
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
        using var views = new HeldViews(kv, values.Values);
        if (request.IsJson)
        {
            await BulkGetRequest.CheckAllAreJsonAsync(values.Values, context.RequestAborted).ConfigureAwait(false);
        }

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
            // What the runtime sends for metadata that JSON cannot express, and how it has always been answered.
            throw new KvException(500, "PUT", "Internal Server Error");
        }
    }

    private static RefusedException NotAllowed() => new(new Failure(405, 0, "Method Not Allowed"));

    private void Fail(HttpContext context, Exception exception, KvCatalogEntry? entry)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        if (Failure.Of(exception, isNamespaceGone: entry is not null && catalog.Find(entry.Id) is null) is not { } failure)
        {
            RequestFailed(logger, context.Request.Method, exception);
            failure = new Failure(500, 0, "Internal Server Error");
        }
        else if (failure.Status == StatusCodes.Status503ServiceUnavailable)
        {
            RequestFailed(logger, context.Request.Method, exception);
        }

        var response = context.Response;
        if (response.HasStarted)
        {
            context.Abort();
            return;
        }

        response.Clear();

        // The runtime takes these for a key that is missing.
        response.StatusCode = failure.Status is 404 or 410 ? 400 : failure.Status;
        response.ContentLength = 0;
        context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = ReasonPhrase.Of(failure.Message);
    }

    [LoggerMessage(20, LogLevel.Error, "A {Method} request of the Workers runtime failed.")]
    private static partial void RequestFailed(ILogger logger, string method, Exception exception);
}
