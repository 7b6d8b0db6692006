using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Requests;

/// <summary>
/// The addresses of the pages. Keys stand percent-encoded in the query, which can hold any key: in a path, dots are resolved, and in
/// a form field, line breaks are changed.
/// </summary>
internal sealed class Links(string root)
{
    /// <summary>The page of all namespaces.</summary>
    public string Home => root.Length == 0 ? "/" : root;

    public string Create => root + "/create";

    public string Live(string? id = null) => $"{root}/live{(id is null ? "" : "?ns=" + id)}";

    public string LiveStream(string? id) => $"{root}/live/stream{(id is null ? "" : "?ns=" + id)}";

    public string Asset(string name) => $"{root}/assets/{name}";

    public string Keys(string id) => $"{root}/ns/{id}";

    /// <summary>A page of keys.</summary>
    public string Keys(string id, string prefix, string delimiter, string? cursor = null, IEnumerable<string>? back = null, int? limit = null)
    {
        var query = $"?prefix={Escape(prefix)}&d={Escape(delimiter)}";
        query += limit is null ? "" : Invariant($"&n={limit}");
        query += cursor is null ? "" : $"&cursor={Escape(cursor)}";
        return Keys(id) + query + string.Concat(back?.Select(b => $"&back={Escape(b)}") ?? []);
    }

    public string KeysStream(string id, string prefix) => $"{root}/ns/{id}/changes?prefix={Escape(prefix)}";

    public string Entry(string id, string key, string? view = null, string? done = null) =>
        $"{root}/ns/{id}/entry?key={Escape(key)}{(view is null ? "" : "&view=" + view)}{(done is null ? "" : "&done=" + done)}";

    public string Edit(string id, string key) => $"{root}/ns/{id}/edit?key={Escape(key)}";

    public string Delete(string id, string key) => $"{root}/ns/{id}/entry/delete?key={Escape(key)}";

    public string Value(string id, string key) => $"{root}/ns/{id}/value?key={Escape(key)}";

    public string New(string id, string? prefix = null) => $"{root}/ns/{id}/new{(string.IsNullOrEmpty(prefix) ? "" : "?prefix=" + Escape(prefix))}";

    public string Transfer(string id) => $"{root}/ns/{id}/transfer";

    public string Import(string id) => $"{root}/ns/{id}/import";

    public string Export(string id, string? prefix = null) => $"{root}/ns/{id}/export{(string.IsNullOrEmpty(prefix) ? "" : "?prefix=" + Escape(prefix))}";

    public string Settings(string id) => $"{root}/ns/{id}/settings";

    public string Rename(string id) => $"{root}/ns/{id}/rename";

    public string DeleteNamespace(string id) => $"{root}/ns/{id}/delete";

    /// <summary>
    /// The links of a request. Their root is the path of the request without the part that its route matches, so the dashboard can be
    /// mapped below groups and path bases.
    /// </summary>
    public static Links Of(HttpContext context, string routeSuffix)
    {
        foreach (var (name, value) in context.Request.RouteValues)
        {
            routeSuffix = routeSuffix.Replace("{" + name + "}", value as string, StringComparison.Ordinal);
        }

        var path = context.Request.PathBase.Add(context.Request.Path).Value!.TrimEnd('/');
        return new Links(new PathString(path[..^Math.Min(routeSuffix.Length, path.Length)]).ToUriComponent());
    }

    private static string Escape(string text) => Uri.EscapeDataString(text);
}
