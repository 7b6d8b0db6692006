using System.Text;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard.Layout;

/// <summary>Writes pages as responses.</summary>
internal static class PageWriter
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

    /// <summary>Writes a page.</summary>
    public static Task WriteAsync(Visit visit, string title, Html content, int status = StatusCodes.Status200OK)
    {
        // Before the headers, because an anti-forgery token in it stores a cookie and sets headers of its own.
        var document = PageLayout.Document(visit, title, content).ToString();
        var response = visit.Http.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        Encoding.UTF8.GetBytes(document, response.BodyWriter);
        SetHeaders(response);
        return response.BodyWriter.FlushAsync(visit.Aborted).AsTask();
    }

    /// <summary>Sets the security headers of every answer of the dashboard.</summary>
    public static void SetHeaders(HttpResponse response)
    {
        var headers = response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.XFrameOptions = "DENY";
        headers.CacheControl = "no-store, no-cache";
    }
}
