using System.Globalization;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>The keys of a namespace, by prefix, page by page, as folders or flat.</summary>
internal static class KeysPage
{
    private const int DefaultLimit = 100;
    private const int BackMax = 20;
    private const int BackCharsMax = 3072;
    private const int DelimiterCharsMax = 8;
    private const int MetadataCharsMax = 100;

    private static readonly int[] s_limits = [DefaultLimit, 250, 1000];

    public static async Task ShowAsync(Visit visit)
    {
        var request = visit.Http.Request;
        var prefix = visit.Query("prefix");
        var delimiter = request.Query.ContainsKey("d") ? visit.Query("d") : "/";
        var cursor = visit.Query("cursor") is { Length: > 0 } given ? given : null;
        var limit = Limit(visit.Query("n"));
        if (delimiter.Length > DelimiterCharsMax)
        {
            throw new RefusedException(Failure.Malformed($"A delimiter may have at most {DelimiterCharsMax} characters."));
        }

        var page = visit.Local is { } local
            ? new KvInspector(local).ListFolders(prefix, delimiter, cursor, limit)
            : KvFolderPage.Group(
                await visit.Entry.Namespace.ListAsync(new KvListOptions { Prefix = prefix, Cursor = cursor, Limit = limit }, visit.Aborted).ConfigureAwait(false),
                prefix,
                delimiter);
        var back = request.Query["back"].OfType<string>().ToList();
        var view = new View(visit, prefix, delimiter, cursor, limit == DefaultLimit ? null : limit, back);
        await PageWriter.WriteAsync(
            visit,
            VisibleText.Plain(prefix.Length == 0 ? visit.Entry.Title : $"{prefix} – {visit.Entry.Title}"),
            Html.Of($"""
                {Trail(view)}
                <div class="head"><h1>{VisibleText.Of(visit.Entry.Title)}</h1>{Actions(visit, prefix)}</div>
                {PageLayout.Done(Message(visit.Query("done")))}
                {Facts(visit)}
                {Filter(view)}
                <div id="keys"{Stream(visit, prefix)}>
                {(page.Items.Count == 0 ? Empty(view) : Table(view, page))}
                {Pager(view, page)}
                </div>
                <p class="muted" id="keys-state" hidden></p>

                """)).ConfigureAwait(false);
    }

    private static Html Stream(Visit visit, string prefix) =>
        KeysStream.IsPossible(visit) ? Html.Of($" data-stream=\"{visit.Links.KeysStream(visit.Id, prefix)}\"") : default;

    private static int Limit(string text) => text.Length == 0 ? DefaultLimit
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && s_limits.Contains(limit) ? limit
        : throw new RefusedException(Failure.Malformed($"A page may have {string.Join(", ", s_limits)} lines."));

    private static string? Message(string done) => done switch
    {
        "created" => "The namespace was created.",
        "renamed" => "The namespace was renamed.",
        "deleted" => "The entry was deleted.",
        _ => null,
    };

    private static Html Actions(Visit visit, string prefix) => Html.Of($"""
        <div class="actions">
        <a class="button" href="{visit.Links.New(visit.Id, prefix)}">New entry</a>
        <a class="button plain" href="{visit.Links.Transfer(visit.Id)}">Import and export</a>
        <a class="button plain" href="{visit.Links.Live(visit.Id)}">Live</a>
        <a class="button plain" href="{visit.Links.Settings(visit.Id)}">Settings</a>
        </div>

        """);

    private static Html Facts(Visit visit)
    {
        var kv = visit.Local;
        return Html.Of($"""
            <dl class="facts">
            <div><dt>Entries</dt><dd>{(kv is null ? "–" : Format.Count(kv.Count))}</dd></div>
            <div><dt>Memory</dt><dd>{(kv is null ? "–" : Format.Bytes(kv.MemoryBytes))}{(kv?.Memory?.BytesMax is { } bytesMax ? $" of {Format.Bytes(bytesMax)}" : "")}</dd></div>
            {(kv?.Memory is { WhenFull: KvMemoryPolicy.Evict } ? Html.Of($"<div><dt>Evicted</dt><dd>{Format.Count(kv.EvictedCount)}</dd></div>") : default)}
            <div><dt>State</dt><dd>{NamespaceState.Render(kv)}</dd></div>
            {(kv?.Replication is { } replication ? RegionsView.Facts(replication) : default)}
            </dl>

            """);
    }

    private static Html Filter(View view)
    {
        var visit = view.Visit;
        return Html.Of($"""
            <form method="get" action="{visit.Links.Keys(visit.Id)}" class="row filter" role="search" aria-label="Keys">
            <div class="field grow"><label for="prefix">Keys that begin with</label>
            <input type="search" id="prefix" name="prefix" value="{view.Prefix}" autocomplete="off" spellcheck="false"></div>
            <div class="field"><label for="d">Folders by</label>
            <select id="d" name="d">
            {Options(view.Delimiter, [("/", "/"), (":", ":"), (".", "."), ("-", "-"), ("", "no folders")])}
            </select></div>
            <div class="field"><label for="n">Lines</label>
            <select id="n" name="n">
            {Options((view.Limit ?? DefaultLimit).ToString(CultureInfo.InvariantCulture), s_limits.Select(n => n.ToString(CultureInfo.InvariantCulture)).Select(n => (n, n)))}
            </select></div>
            <button class="plain">Show</button>
            </form>

            """);
    }

    private static IEnumerable<Html> Options(string current, IEnumerable<(string Value, string Text)> options)
    {
        var all = options.ToList();
        if (!all.Exists(option => option.Value == current))
        {
            all.Insert(0, (current, current));
        }

        return all.Select(option => option.Value == current
            ? Html.Of($"""<option value="{option.Value}" selected>{option.Text}</option>""")
            : Html.Of($"""<option value="{option.Value}">{option.Text}</option>"""));
    }

    // Each folder on the way down to the prefix.
    private static Html Trail(View view)
    {
        var visit = view.Visit;
        var steps = new List<(string, Html)> { (visit.Links.Home, Html.Text("Namespaces")), (visit.Links.Keys(visit.Id, "", view.Delimiter), VisibleText.Of(visit.Entry.Title)) };
        var from = 0;
        while (view.Delimiter.Length > 0 && view.Prefix.IndexOf(view.Delimiter, from, StringComparison.Ordinal) is var at and >= 0 && steps.Count < 32)
        {
            var end = at + view.Delimiter.Length;
            steps.Add((visit.Links.Keys(visit.Id, view.Prefix[..end], view.Delimiter), VisibleText.Of(view.Prefix[from..end])));
            from = end;
        }

        return PageLayout.Trail(steps);
    }

    private static Html Empty(View view) => view.Prefix.Length == 0 && view.Cursor is null
        ? Html.Of($"""<p class="empty">There is nothing in this namespace yet. <a href="{view.Visit.Links.New(view.Visit.Id)}">Put the first entry</a>, or <a href="{view.Visit.Links.Transfer(view.Visit.Id)}">import a bulk file</a>.</p>""")
        : Html.Of($"""<p class="empty">No key begins with <code class="key">{VisibleText.Of(view.Prefix)}</code>{(view.Cursor is null ? "" : " after this place")}.</p>""");

    private static Html Table(View view, KvFolderPage page)
    {
        var now = view.Visit.Now;
        return Html.Of($"""
            <div class="scroll">
            <table class="keys">
            <caption class="sr">Keys{(view.Prefix.Length == 0 ? "" : " that begin with " + VisibleText.Plain(view.Prefix))}</caption>
            <thead><tr><th scope="col">Key</th><th scope="col">Metadata</th><th scope="col">Expires</th></tr></thead>
            <tbody>
            {page.Items.Select(item => item.IsFolder ? Folder(view, item) : Key(view, item, now))}
            </tbody>
            </table>
            </div>

            """);
    }

    private static Html Folder(View view, KvFolderItem item) => Html.Of($"""
        <tr class="folder"><th scope="row" colspan="3"><a class="key" href="{view.Visit.Links.Keys(view.Visit.Id, item.Name, view.Delimiter, limit: view.Limit)}"><span class="sr">Folder </span>{VisibleText.Of(item.Name[view.Prefix.Length..])}</a></th></tr>

        """);

    private static Html Key(View view, KvFolderItem item, DateTimeOffset now)
    {
        var name = item.Name[view.Prefix.Length..];
        return Html.Of($"""
            <tr><th scope="row"><a class="key" href="{view.Visit.Links.Entry(view.Visit.Id, item.Name)}">{VisibleText.Of(name.Length == 0 || view.Delimiter.Length == 0 ? item.Name : name)}</a></th><td>{Metadata(item.Key!.Value.Metadata)}</td><td class="expires">{Format.Expiration(item.Key!.Value.Expiration, now)}</td></tr>

            """);
    }

    private static Html Metadata(KvMetadata metadata) => metadata.IsNull
        ? Html.Of($"""<span class="muted">–</span>""")
        : Html.Of($"""<code class="meta">{VisibleText.Plain(metadata.ToString(), MetadataCharsMax)}</code>""");

    private static Html Pager(View view, KvFolderPage page)
    {
        if (view.Cursor is null && page.Cursor is null)
        {
            return default;
        }

        var (visit, prefix, delimiter) = (view.Visit, view.Prefix, view.Delimiter);
        var first = visit.Links.Keys(visit.Id, prefix, delimiter, limit: view.Limit);
        var previous = view.Back.Count == 0 ? first
            : visit.Links.Keys(visit.Id, prefix, delimiter, view.Back[^1] is { Length: > 0 } cursor ? cursor : null, view.Back.SkipLast(1), view.Limit);
        return Html.Of($"""
            <nav class="pager" aria-label="Pages">
            {(view.Cursor is null ? default : Html.Of($"""<a class="button plain" href="{first}">First</a> <a class="button plain" rel="prev" href="{previous}">Previous</a>"""))}
            {(page.Cursor is null ? Html.Of($"""<span class="muted">This is the last page.</span>""") : Html.Of($"""<a class="button plain" rel="next" href="{visit.Links.Keys(visit.Id, prefix, delimiter, page.Cursor, BackFrom(view), view.Limit)}">Next</a>"""))}
            </nav>

            """);
    }

    // The cursors of the pages before, as many as fit into an address. The history of the browser has the others.
    private static List<string> BackFrom(View view)
    {
        var back = view.Back.Append(view.Cursor ?? "").TakeLast(BackMax).ToList();
        while (back.Sum(cursor => cursor.Length) > BackCharsMax)
        {
            back.RemoveAt(0);
        }

        return back;
    }

    private sealed record View(Visit Visit, string Prefix, string Delimiter, string? Cursor, int? Limit, IReadOnlyList<string> Back);
}
