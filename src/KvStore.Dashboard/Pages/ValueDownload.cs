using KvStore.Dashboard.Requests;
using KvStore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>A value as a file: bytes that no browser takes for anything else.</summary>
internal static class ValueDownload
{
    public static async Task WriteAsync(Visit visit)
    {
        var key = visit.Key();
        var value = await visit.ReadAsync(key).ConfigureAwait(false);
        if (!value.Exists)
        {
            throw new RefusedException(new Failure(404, Failure.KeyNotFoundCode, "There is no entry with this key, or it has expired."));
        }

        try
        {
            var response = visit.Http.Response;
            response.ContentType = "application/octet-stream";
            response.Headers.ContentDisposition = Attachment.Named(key, "value", ".bin");
            await ValueResponse.WriteAsync(response, visit.Entry.Namespace, value).ConfigureAwait(false);
            await response.BodyWriter.FlushAsync(visit.Aborted).ConfigureAwait(false);
        }
        finally
        {
            visit.Release(value);
        }
    }
}
