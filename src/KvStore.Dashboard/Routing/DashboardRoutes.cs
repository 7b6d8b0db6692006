using KvStore.Dashboard.Forms;
using KvStore.Dashboard.Layout;
using KvStore.Dashboard.Pages;
using KvStore.Dashboard.Requests;
using KvStore.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace KvStore.Dashboard.Routing;

/// <summary>
/// The routes of the dashboard. There are two ways to map one: a page, which changes nothing, and a change, which is a POST and is
/// never called without a valid anti-forgery token.
/// </summary>
internal sealed class DashboardRoutes(DashboardContext dashboard, ILogger logger)
{
    private const long SmallFormBytesMax = 64 * 1024;

    public void Map(RouteGroupBuilder group)
    {
        Page(group, "", NamespacesPage.ShowAsync);
        Page(group, "/live", LivePage.ShowAsync);
        Page(group, "/live/stream", LiveStream.WriteAsync);
        Page(group, "/assets/{name}", visit => AssetFiles.Embedded.WriteAsync(visit.Http, visit.Http.Request.RouteValues["name"] as string ?? ""));
        Page(group, "/ns/{id}", KeysPage.ShowAsync);
        Page(group, "/ns/{id}/changes", KeysStream.WriteAsync);
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
        Change(group, "/ns/{id}/import", _ => dashboard.Options.ImportBytesMax + SmallFormBytesMax, TransferPage.ImportAsync);
    }

    private void Page(RouteGroupBuilder group, string pattern, Func<Visit, Task> show) =>
        group.MapMethods(pattern, [HttpMethods.Get], new DashboardRoute(dashboard, logger, pattern, show).HandleAsync);

    private void Change(RouteGroupBuilder group, string pattern, Func<Visit, long> bytesMax, Func<Visit, ChangeForm, Task> change) =>
        group.MapMethods(pattern, [HttpMethods.Post], new DashboardRoute(dashboard, logger, pattern, async visit =>
        {
            RequestBody.Bound(visit.Http, bytesMax(visit));
            var form = await ChangeForm.OpenAsync(visit).ConfigureAwait(false);
            await using (form.ConfigureAwait(false))
            {
                await change(visit, form).ConfigureAwait(false);
            }
        }).HandleAsync);
}
