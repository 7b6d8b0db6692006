using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Http;

/// <summary>Bounds the length of request bodies before they are read.</summary>
internal static class RequestBody
{
    private static readonly KvLimits s_defaults = new();

    /// <summary>The length of the longest value that a namespace takes.</summary>
    public static int ValueBytesMax(IKvNamespace kv) => ((kv as KvNamespace)?.Limits ?? s_defaults).ValueBytesMax;

    /// <summary>Allows a body of this length, also where the server would stop it earlier, and no longer one.</summary>
    /// <exception cref="RefusedException">The header <c>Content-Length</c> announces a longer one (413).</exception>
    public static void Bound(HttpContext context, long bytesMax)
    {
        if (context.Request.ContentLength > bytesMax)
        {
            throw new RefusedException(Failure.TooLarge(Invariant($"Request body of {context.Request.ContentLength} bytes exceeds limit of {bytesMax}.")));
        }

        LimitServer(context, bytesMax);
    }

    /// <summary>Sets the limit of the server, where it can still be set.</summary>
    public static void LimitServer(HttpContext context, long bytesMax)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = bytesMax;
        }
    }
}
