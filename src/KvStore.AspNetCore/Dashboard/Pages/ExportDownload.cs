namespace KvStore.Dashboard.Pages;

/// <summary>The entries of a namespace as a bulk file, written as fast as the client reads.</summary>
internal static class ExportDownload
{
    public static async Task WriteAsync(Visit visit)
    {
        var prefix = visit.Query("prefix");
        Rules.KeyRules.CheckLength(prefix, visit.Limits.KeyBytesMax, "GET");
        using var place = TransferPlace.Take(visit);
        var response = visit.Http.Response;
        response.ContentType = "application/octet-stream";
        response.Headers.ContentDisposition = Attachment.Named(visit.Entry.Title, "namespace", ".json");
        await KvBulk.ExportAsync(visit.Entry.Namespace, response.Body, prefix, visit.Aborted).ConfigureAwait(false);
    }
}
