using System.Diagnostics;
using KvStore.Dashboard.Markup;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Requests;

/// <summary>A request for a page of the dashboard, and the namespace of the page.</summary>
internal sealed class Visit(HttpContext http, DashboardContext dashboard, Links links, KvCatalogEntry? entry)
{
    public HttpContext Http => http;

    public DashboardContext Dashboard => dashboard;

    public Links Links => links;

    public CancellationToken Aborted => http.RequestAborted;

    /// <summary>The namespace of the page. Requires: the route has an id.</summary>
    public KvCatalogEntry Entry
    {
        get
        {
            Debug.Assert(entry is not null, "A page without an id in its route has no namespace.");
            return entry;
        }
    }

    public string Id => Entry.Id;

    /// <summary>The namespace when it is one of this process; null when it is another implementation.</summary>
    public KvNamespace? Local => Entry.Namespace as KvNamespace;

    public KvLimits Limits => Local?.Limits ?? dashboard.DefaultLimits;

    public DateTimeOffset Now => (Local?.TimeProvider ?? dashboard.Time).GetUtcNow();

    /// <summary>A parameter of the address; empty when it is missing.</summary>
    public string Query(string name) => http.Request.Query[name] is { Count: > 0 } values ? values[0] ?? "" : "";

    /// <summary>The key in the address.</summary>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    public string Key()
    {
        var key = Query("key");
        Limits.CheckKey(key, "GET");
        return key;
    }

    /// <summary>Reads the newest version of an entry. A namespace of this process does not count it as a read.</summary>
    public ValueTask<KvValue> ReadAsync(string key) =>
        Local is { } local ? new(new KvInspector(local).PeekNewest(key)) : Entry.Namespace.GetAsync(key, options: null, Aborted);

    /// <summary>Disposes a large value that <see cref="ReadAsync"/> returned. Nobody else has the view.</summary>
    public void Release(KvValue value) => ValueLeases.Release(Entry.Namespace, value);

    /// <summary>The hidden field with the anti-forgery token. It must be the first field: without it the rest of a form is not read.</summary>
    public Html TokenField()
    {
        var tokens = dashboard.Antiforgery.GetAndStoreTokens(http);
        return Html.Of($"""<input type="hidden" name="{tokens.FormFieldName}" value="{tokens.RequestToken}">""");
    }

    /// <summary>Redirects to a page after a change, so that reloading the page does not repeat the change.</summary>
    public Task SeeOther(string address)
    {
        http.Response.StatusCode = StatusCodes.Status303SeeOther;
        http.Response.Headers.Location = address;
        return Task.CompletedTask;
    }
}
