using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Live;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Pages;
using KvStore.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace KvStore.Dashboard;

/// <summary>
/// The routes of the dashboard. There are two ways to map one: a page, which changes nothing, and a change, which is only a
/// POST and never reached without a valid anti-forgery token.
/// </summary>
internal sealed partial class DashboardEndpoint(DashboardParts parts)
{
    private const long SmallFormBytesMax = 64 * 1024;

    public void Map(RouteGroupBuilder group)
    {
        Page(group, "", NamespacesPage.ShowAsync);
        Page(group, "/live", LivePage.ShowAsync);
        Page(group, "/live/stream", LiveStream.WriteAsync);
        Page(group, "/assets/{name}", visit => Assets.Embedded.WriteAsync(visit.Http, visit.Http.Request.RouteValues["name"] as string ?? ""));
        Page(group, "/ns/{id}", KeysPage.ShowAsync);
        Page(group, "/ns/{id}/entry", EntryPage.ShowAsync);
        Page(group, "/ns/{id}/edit", EditPage.ShowEditAsync);
        Page(group, "/ns/{id}/new", EditPage.ShowNewAsync);
        Page(group, "/ns/{id}/value", ValueDownload.WriteAsync);
        Page(group, "/ns/{id}/transfer", TransferPage.ShowAsync);
        Page(group, "/ns/{id}/export", ExportDownload.WriteAsync);
        Page(group, "/ns/{id}/settings", SettingsPage.ShowAsync);

        Change(group, "/create", _ => SmallFormBytesMax, NamespacesPage.CreateAsync);
        Change(group, "/ns/{id}/rename", _ => SmallFormBytesMax, SettingsPage.RenameAsync);
        Change(group, "/ns/{id}/delete", _ => SmallFormBytesMax, SettingsPage.DeleteAsync);
        Change(group, "/ns/{id}/edit", EditPage.FormBytesMax, EditPage.SaveAsync);
        Change(group, "/ns/{id}/new", EditPage.FormBytesMax, EditPage.CreateAsync);
        Change(group, "/ns/{id}/entry/delete", _ => SmallFormBytesMax, EntryPage.DeleteAsync);
        Change(group, "/ns/{id}/import", _ => parts.Options.ImportBytesMax + SmallFormBytesMax, TransferPage.ImportAsync);
    }

    private void Page(RouteGroupBuilder group, string pattern, Func<Visit, Task> show) =>
        group.MapMethods(pattern, [HttpMethods.Get], context => AnswerAsync(context, pattern, show));

    private void Change(RouteGroupBuilder group, string pattern, Func<Visit, long> bytesMax, Func<Visit, ChangeForm, Task> change) =>
        group.MapMethods(pattern, [HttpMethods.Post], context => AnswerAsync(context, pattern, async visit =>
        {
            RequestBody.Bound(context, bytesMax(visit));
            var form = await ChangeForm.OpenAsync(context, parts).ConfigureAwait(false);
            await using (form.ConfigureAwait(false))
            {
                await change(visit, form).ConfigureAwait(false);
            }
        }));

    private async Task AnswerAsync(HttpContext context, string pattern, Func<Visit, Task> answer)
    {
        var body = ChunkedBody.Begin(context);
        Visit.SetHeaders(context.Response);
        var links = Links.Of(context, pattern);
        KvCatalogEntry? entry = null;
        try
        {
            parts.Hosts?.Check(context.Request);
            if (context.Request.RouteValues["id"] is string id)
            {
                entry = parts.Catalog.Find(id) ?? throw new RefusedException(Failure.NamespaceNotFound);
            }

            await answer(new Visit(context, parts, links, entry)).ConfigureAwait(false);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            await FailAsync(new Visit(context, parts, links, entry), e).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // Nobody is there to be told.
        }
        finally
        {
            body?.End();
        }
    }

    private static async Task FailAsync(Visit visit, Exception exception)
    {
        var failure = Failure.Of(exception, isNamespaceGone: visit.IsNamespaceGone) ?? new Failure(StatusCodes.Status500InternalServerError, 0, "Something went wrong here. The log of the server says what.");
        if (failure.Status >= StatusCodes.Status500InternalServerError)
        {
            RequestFailed(visit.Parts.Logger, visit.Http.Request.Method, exception);
        }

        if (visit.Http.Response.HasStarted)
        {
            // Too late to say why; at least it does not look complete.
            visit.Http.Abort();
            return;
        }

        visit.Http.Response.Clear();
        var title = failure.Status switch
        {
            StatusCodes.Status404NotFound => "Not found",
            StatusCodes.Status413PayloadTooLarge => "Too large",
            StatusCodes.Status429TooManyRequests => "Too many at one time",
            >= StatusCodes.Status500InternalServerError => "Something failed",
            _ => "That did not work",
        };
        await visit.WriteAsync(
            title,
            Html.Of($"""
                {Layout.Trail((visit.Links.Home, Html.Text("Namespaces")))}
                <h1>{title}</h1>
                {Layout.Alert(failure.Message)}

                """),
            failure.Status).ConfigureAwait(false);
    }

    [LoggerMessage(50, LogLevel.Error, "A {Method} request to the KV dashboard failed.")]
    private static partial void RequestFailed(ILogger logger, string method, Exception exception);
}
