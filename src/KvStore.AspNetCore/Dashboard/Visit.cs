using System.Text;
using KvStore.Dashboard.Markup;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard;

/// <summary>One request for a page of the dashboard, and the namespace that it is about.</summary>
internal sealed class Visit(HttpContext http, DashboardParts parts, Links links, KvCatalogEntry? entry)
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

    public HttpContext Http => http;

    public DashboardParts Parts => parts;

    public Links Links => links;

    public CancellationToken Aborted => http.RequestAborted;

    /// <summary>The namespace, on the pages that are about one.</summary>
    public KvCatalogEntry Entry => entry!;

    public string Id => Entry.Id;

    /// <summary>Whether it has left the catalog since it was found there.</summary>
    public bool IsNamespaceGone => entry is not null && parts.Catalog.Find(entry.Id) is null;

    /// <summary>The namespace as what can be looked into; null when it is some other implementation.</summary>
    public KvNamespace? Local => Entry.Namespace as KvNamespace;

    public KvLimits Limits => Local?.Limits ?? parts.DefaultLimits;

    public DateTimeOffset Now => (Local?.TimeProvider ?? parts.Time).GetUtcNow();

    /// <summary>A parameter of the address; empty when it is not there.</summary>
    public string Query(string name) => http.Request.Query[name] is { Count: > 0 } values ? values[0] ?? "" : "";

    /// <summary>The key that the address names.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    public string Key()
    {
        var key = Query("key");
        Rules.KeyRules.CheckShape(key, Limits.KeyBytesMax, "GET");
        return Rules.KeyRules.IsUnicode(key) ? key : throw new KvException(400, "GET", Rules.KeyRules.UnpairedSurrogate);
    }

    /// <summary>Reads a key: where that is possible, without being counted as a reader.</summary>
    public ValueTask<KvValue> ReadAsync(string key) =>
        Local is { } local ? new(local.Peek(key)) : Entry.Namespace.GetAsync(key, options: null, Aborted);

    /// <summary>The hidden field without which no form is accepted. It stands first: what follows is not read without it.</summary>
    public Html TokenField()
    {
        var tokens = parts.Antiforgery.GetAndStoreTokens(http);
        return Html.Of($"""<input type="hidden" name="{tokens.FormFieldName}" value="{tokens.RequestToken}">""");
    }

    /// <summary>Goes to a page after a change, so that reloading it does not repeat the change.</summary>
    public Task SeeOther(string address)
    {
        http.Response.StatusCode = StatusCodes.Status303SeeOther;
        http.Response.Headers.Location = address;
        return Task.CompletedTask;
    }

    /// <summary>Writes a page.</summary>
    public Task WriteAsync(string title, Html content, int status = StatusCodes.Status200OK)
    {
        // First, since it stores a cookie and sets headers of its own.
        var document = Layout.Document(this, title, content).ToString();
        var response = http.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        Encoding.UTF8.GetBytes(document, response.BodyWriter);
        SetHeaders(response);
        return response.BodyWriter.FlushAsync(Aborted).AsTask();
    }

    /// <summary>What every answer of the dashboard tells the browser.</summary>
    public static void SetHeaders(HttpResponse response)
    {
        var headers = response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.XFrameOptions = "DENY";
        headers.CacheControl = "no-store, no-cache";
    }
}
