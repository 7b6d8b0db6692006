using KvStore.Dashboard.Entries;
using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>One entry: its value, metadata and expiration, here and in every region.</summary>
internal static class EntryPage
{
    public static Task ShowAsync(Visit visit) => WriteAsync(visit, visit.Key(), alert: null, StatusCodes.Status200OK);

    public static async Task DeleteAsync(Visit visit, ChangeForm form)
    {
        var key = visit.Key();
        await form.ReadAsync(fileBytesMax: 0).ConfigureAwait(false);
        var value = await visit.ReadAsync(key).ConfigureAwait(false);
        var isSame = await EntryVersion.StampOfAsync(value, visit.Aborted).ConfigureAwait(false) == form.Text("stamp");
        visit.Release(value);
        if (isSame && await EntryVersion.TryDeleteAsync(visit.Entry.Namespace, key, value, visit.Aborted).ConfigureAwait(false))
        {
            await visit.SeeOther(visit.Links.Keys(visit.Id) + "?done=deleted").ConfigureAwait(false);
            return;
        }

        await WriteAsync(
            visit, key, "This entry has changed since you opened it, and was not deleted. What you see now is the newest.", StatusCodes.Status409Conflict).ConfigureAwait(false);
    }

    private static async Task WriteAsync(Visit visit, string key, string? alert, int status)
    {
        var value = await visit.ReadAsync(key).ConfigureAwait(false);
        try
        {
            var regions = await RegionsView.RenderAsync(visit, key).ConfigureAwait(false);
            var content = value.Exists
                ? await EntryAsync(visit, key, value).ConfigureAwait(false)
                : Html.Of($"""
                    <p class="empty">There is no entry with this key, or it has expired. <a href="{visit.Links.Edit(visit.Id, key)}">Put one</a>.</p>

                    """);
            await PageWriter.WriteAsync(
            visit,
                VisibleText.Plain(key),
                Html.Of($"""
                    {PageLayout.Trail(visit)}
                    <h1 class="key">{VisibleText.Of(key)}</h1>
                    {PageLayout.Alert(alert)}
                    {PageLayout.Done(visit.Query("done") == "saved" ? "The entry was saved." : null)}
                    {content}
                    {regions}

                    """),
                value.Exists || status != StatusCodes.Status200OK ? status : StatusCodes.Status404NotFound).ConfigureAwait(false);
        }
        finally
        {
            visit.Release(value);
        }
    }

    private static async Task<Html> EntryAsync(Visit visit, string key, KvValue value)
    {
        var preview = await ValuePreview.OfAsync(value, ValuePreview.BytesMax, visit.Aborted).ConfigureAwait(false);
        var stamp = await EntryVersion.StampOfAsync(value, visit.Aborted).ConfigureAwait(false);
        return Html.Of($"""
            <div class="actions">
            <a class="button" href="{visit.Links.Edit(visit.Id, key)}">Edit</a>
            <a class="button plain" href="{visit.Links.Value(visit.Id, key)}" download>Download</a>
            <details class="confirm">
            <summary class="button plain danger">Delete…</summary>
            <form method="post" action="{visit.Links.Delete(visit.Id, key)}">
            {visit.TokenField()}
            <input type="hidden" name="stamp" value="{stamp}">
            <p>The entry is gone for good.</p>
            <button class="danger solid">Delete this entry</button>
            </form>
            </details>
            </div>
            <dl class="facts">
            <div><dt>Size</dt><dd>{Format.Bytes(value.Length)}{(value.IsLarge ? " in a file" : "")}</dd></div>
            <div><dt>Expires</dt><dd>{Format.Expiration(value.Expiration, visit.Now)}</dd></div>
            <div><dt>Key</dt><dd>{Format.Bytes(System.Text.Encoding.UTF8.GetByteCount(key))}</dd></div>
            </dl>
            <h2>Value</h2>
            {ValueView.Render(visit, key, preview)}
            <h2>Metadata</h2>
            {(value.Metadata.IsNull ? Html.Of($"""<p class="muted">There is none.</p>""") : Html.Of($"""<pre class="json" tabindex="0" aria-label="Metadata">{"\n"}{JsonMarkup.Of(value.Metadata.Utf8Json.Span) ?? VisibleText.Of(value.Metadata.ToString())}</pre>"""))}

            """);
    }
}
