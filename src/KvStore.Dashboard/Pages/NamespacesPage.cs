using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;

namespace KvStore.Dashboard.Pages;

/// <summary>All namespaces, and a new one.</summary>
internal static class NamespacesPage
{
    public static Task ShowAsync(Visit visit) => WriteAsync(visit, title: "", error: null, 200);

    public static async Task CreateAsync(Visit visit, ChangeForm form)
    {
        await form.ReadAsync(fileBytesMax: 0).ConfigureAwait(false);
        var title = form.Text("title") ?? "";
        KvCatalogEntry created;
        try
        {
            created = await visit.Dashboard.Catalog.CreateAsync(title, visit.Aborted).ConfigureAwait(false);
        }
        catch (KvCatalogException e)
        {
            await WriteAsync(visit, title, e.Message, 400).ConfigureAwait(false);
            return;
        }

        await visit.SeeOther(visit.Links.Keys(created.Id) + "?done=created").ConfigureAwait(false);
    }

    private static Task WriteAsync(Visit visit, string title, string? error, int status)
    {
        var entries = visit.Dashboard.Catalog.Entries;
        var isReplicated = entries.Any(entry => (entry.Namespace as KvNamespace)?.Replication is not null);
        return PageWriter.WriteAsync(
            visit,
            "Namespaces",
            Html.Of($"""
                <h1>Namespaces</h1>
                {PageLayout.Done(visit.Query("done") == "deleted" ? "The namespace was deleted." : null)}
                {(entries.Count == 0 ? Html.Of($"""<p class="empty">There is no namespace yet. Create the first one below.</p>""") : Table(visit, entries, isReplicated))}
                <section class="card" aria-labelledby="create-heading">
                <h2 id="create-heading">New namespace</h2>
                <form method="post" action="{visit.Links.Create}" class="row">
                {visit.TokenField()}
                {new Field("title", "Title", error, "1 to 512 bytes; it can be changed later.").Render(aria => Html.Of($"""
                    <input type="text" id="title" name="title" value="{title}" maxlength="512" autocomplete="off" required {aria}>
                    """))}
                <button>Create</button>
                </form>
                </section>

                """),
            status);
    }

    private static Html Table(Visit visit, IReadOnlyList<KvCatalogEntry> entries, bool isReplicated) => Html.Of($"""
        <div class="scroll" tabindex="0" role="region" aria-label="Namespaces">
        <table>
        <caption class="sr">Namespaces, with the number of entries and the memory of each</caption>
        <thead><tr><th scope="col">Title</th><th scope="col" class="num">Entries</th><th scope="col" class="num">Memory</th>{(isReplicated ? Html.Of($"""<th scope="col" class="num">On their way</th>""") : default)}<th scope="col">State</th><th scope="col" class="wide-only">Id</th></tr></thead>
        <tbody>
        {entries.Select(entry => Row(visit, entry, isReplicated))}
        </tbody>
        </table>
        </div>

        """);

    private static Html Row(Visit visit, KvCatalogEntry entry, bool isReplicated)
    {
        var kv = entry.Namespace as KvNamespace;
        return Html.Of($"""
            <tr>
            <th scope="row"><a href="{visit.Links.Keys(entry.Id)}">{VisibleText.Of(entry.Title)}</a>{(entry.IsRegistered ? Html.Of($""" <span class="tag">in code</span>""") : default)}</th>
            <td class="num">{(kv is null ? "–" : Format.Count(kv.Count))}</td>
            <td class="num">{(kv is null ? "–" : Format.Bytes(kv.MemoryBytes))}</td>
            {(isReplicated ? Html.Of($"""<td class="num">{(kv?.Replication is { } replication ? Format.Count(replication.PendingCount) : "–")}</td>""") : default)}
            <td>{NamespaceState.Render(kv)}</td>
            <td class="wide-only"><code>{entry.Id}</code></td>
            </tr>

            """);
    }
}
