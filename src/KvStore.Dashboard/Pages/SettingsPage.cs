using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;

namespace KvStore.Dashboard.Pages;

/// <summary>Renames and deletes a namespace of the catalog. One that was registered in code is only shown.</summary>
internal static class SettingsPage
{
    public static Task ShowAsync(Visit visit) => WriteAsync(visit, visit.Entry.Title, new Errors(), 200);

    public static async Task RenameAsync(Visit visit, ChangeForm form)
    {
        await form.ReadAsync(fileBytesMax: 0).ConfigureAwait(false);
        var title = form.Text("title") ?? "";
        try
        {
            await visit.Dashboard.Catalog.RenameAsync(visit.Id, title, visit.Aborted).ConfigureAwait(false);
        }
        catch (KvCatalogException e) when (e.Error is KvCatalogError.TitleInvalid or KvCatalogError.TitleTaken)
        {
            await WriteAsync(visit, title, new Errors(Title: e.Message), 400).ConfigureAwait(false);
            return;
        }

        await visit.SeeOther(visit.Links.Keys(visit.Id) + "?done=renamed").ConfigureAwait(false);
    }

    public static async Task DeleteAsync(Visit visit, ChangeForm form)
    {
        await form.ReadAsync(fileBytesMax: 0).ConfigureAwait(false);
        if (form.Text("confirm") != visit.Entry.Title)
        {
            await WriteAsync(visit, visit.Entry.Title, new Errors(Confirm: "This is not the title of the namespace. Nothing was deleted."), 400).ConfigureAwait(false);
            return;
        }

        await visit.Dashboard.Catalog.DeleteAsync(visit.Id, visit.Aborted).ConfigureAwait(false);
        await visit.SeeOther(visit.Links.Home + "?done=deleted").ConfigureAwait(false);
    }

    private static Task WriteAsync(Visit visit, string title, Errors errors, int status) => PageWriter.WriteAsync(
            visit,
        $"Settings of {VisibleText.Plain(visit.Entry.Title)}",
        Html.Of($"""
            {PageLayout.Trail(visit)}
            <h1>Settings</h1>
            <dl class="facts"><div><dt>Id</dt><dd><code>{visit.Id}</code></dd></div></dl>
            {(visit.Entry.IsRegistered ? Html.Of($"""<p class="note">This namespace is registered in code: only code renames or removes it.</p>""") : Forms(visit, title, errors))}

            """),
        status);

    private static Html Forms(Visit visit, string title, Errors errors) => Html.Of($"""
        <section class="card" aria-labelledby="rename-heading">
        <h2 id="rename-heading">Rename</h2>
        <form method="post" action="{visit.Links.Rename(visit.Id)}" class="row">
        {visit.TokenField()}
        {new Field("title", "Title", errors.Title, "1 to 512 bytes.").Render(aria => Html.Of($"""<input type="text" id="title" name="title" value="{title}" maxlength="512" autocomplete="off" required {aria}>"""))}
        <button>Rename</button>
        </form>
        </section>
        <section class="card danger" aria-labelledby="delete-heading">
        <h2 id="delete-heading">Delete</h2>
        <p>All its entries are gone for good.</p>
        <form method="post" action="{visit.Links.DeleteNamespace(visit.Id)}" class="row">
        {visit.TokenField()}
        {new Field("confirm", $"To confirm, type the title: {visit.Entry.Title}", errors.Confirm).Render(aria => Html.Of($"""<input type="text" id="confirm" name="confirm" value="" autocomplete="off" spellcheck="false" required {aria}>"""))}
        <button class="danger solid">Delete this namespace</button>
        </form>
        </section>

        """);

    private sealed record Errors(string? Title = null, string? Confirm = null);
}
