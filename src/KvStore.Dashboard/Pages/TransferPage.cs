using System.Globalization;
using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>Bulk files: in and out.</summary>
internal static class TransferPage
{
    private const int ErrorsShownMax = 100;

    public static Task ShowAsync(Visit visit) => WriteAsync(visit, default, StatusCodes.Status200OK);

    public static async Task ImportAsync(Visit visit, ChangeForm form)
    {
        using var slot = TransferSlot.Take(visit);
        var file = await form.NextFileAsync().ConfigureAwait(false);
        if (file is null)
        {
            await WriteAsync(visit, PageLayout.Alert("Choose a file to import."), StatusCodes.Status400BadRequest).ConfigureAwait(false);
            return;
        }

        Html outcome;
        var status = StatusCodes.Status200OK;
        try
        {
            outcome = Outcome(await KvBulk.ImportAsync(visit.Entry.Namespace, file, visit.Aborted).ConfigureAwait(false));
        }
        catch (InvalidDataException e)
        {
            outcome = PageLayout.Alert(e.Message);
            status = StatusCodes.Status400BadRequest;
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw new RefusedException(Failure.TooLarge(Invariant($"The file is longer than the limit of {visit.Dashboard.Options.ImportBytesMax} bytes. What stood before the limit was put.")));
        }
        catch (Exception e) when (e is RefusedException or BadHttpRequestException && !visit.Aborted.IsCancellationRequested)
        {
            outcome = PageLayout.Alert("The upload broke off. What stood before the break was put.");
            status = StatusCodes.Status400BadRequest;
        }

        await WriteAsync(visit, outcome, status).ConfigureAwait(false);
    }

    private static Html Outcome(KvBulkResult result)
    {
        var imported = $"{Format.Count(result.Imported, "entry", "entries")} imported.";
        return result.ErrorCount == 0
            ? PageLayout.Done(imported)
            : Html.Of($"""
                {PageLayout.Alert($"{imported} {Format.Count(result.ErrorCount, "entry was", "entries were")} refused:")}
                <ul class="errors">
                {result.Errors.Take(ErrorsShownMax).Select(error => Html.Of($"""
                    <li>Entry {error.Index}{(error.Key is null ? default : Html.Of($""" <code class="key">{VisibleText.Of(error.Key)}</code>"""))}: {error.Reason}</li>

                    """))}
                </ul>
                {(result.ErrorCount > ErrorsShownMax ? Html.Of($"""<p class="muted">Shown: the first {ErrorsShownMax}.</p>""") : default)}

                """);
    }

    private static Task WriteAsync(Visit visit, Html outcome, int status)
    {
        var (links, id) = (visit.Links, visit.Id);
        var count = visit.Local?.Count.ToString(CultureInfo.InvariantCulture) ?? "";
        return PageWriter.WriteAsync(
            visit,
            "Import and export",
            Html.Of($"""
                {PageLayout.Trail(visit)}
                <h1>Import and export</h1>
                <div id="outcome">
                {outcome}
                </div>
                <section class="card" aria-labelledby="import-heading">
                <h2 id="import-heading">Import</h2>
                <p>A bulk file is a JSON array, as <code>wrangler kv bulk put</code> takes it. Entries with the same key are overwritten.</p>
                <form method="post" enctype="multipart/form-data" action="{links.Import(id)}" id="import">
                {visit.TokenField()}
                {new Field("file", "Bulk file", Error: null, $"At most {Format.Bytes(visit.Dashboard.Options.ImportBytesMax)}.").Render(aria => Html.Of($"""<input type="file" id="file" name="file" accept=".json,application/json" required {aria}>"""))}
                <div class="actions"><button>Import</button><button type="button" class="plain" id="import-cancel" hidden>Cancel</button></div>
                <div id="import-progress" hidden><progress max="100" value="0" aria-labelledby="import-state"></progress> <span id="import-state" role="status"></span></div>
                </form>
                </section>
                <section class="card" aria-labelledby="export-heading">
                <h2 id="export-heading">Export</h2>
                <form method="get" action="{links.Export(id)}" id="export" data-count="{count}">
                {new Field("prefix", "Keys that begin with", Error: null, "Empty for all. Values that are not text are written in base64.").Render(aria => Html.Of($"""<input type="text" id="prefix" name="prefix" value="{visit.Query("prefix")}" class="code" autocomplete="off" spellcheck="false" {aria}>"""))}
                <div class="actions"><button>Export</button><button type="button" class="plain" id="export-cancel" hidden>Cancel</button></div>
                <div id="export-progress" hidden><progress aria-labelledby="export-state"></progress> <span id="export-state" role="status"></span></div>
                </form>
                </section>

                """),
            status);
    }
}
