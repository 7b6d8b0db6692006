using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace KvStore.Requests;

/// <summary>Bodies, bounded before they are read.</summary>
internal static class RequestBody
{
    private static readonly KvLimits s_defaults = new();

    // The namespace counts as it reads and knows the message; the server's own limit stands behind it.
    private const long BytesBeyondLimit = 64 * 1024;

    // What has arrived with the head of the request and is put without being waited for.
    private const long SmallBytesMax = 64 * 1024;

    /// <summary>Puts the body as a value, which the namespace reads to its end or to its own limit, whichever comes first.</summary>
    public static ValueTask PutAsync(HttpContext context, IKvNamespace kv, string key, KvPutOptions? options)
    {
        var request = context.Request;
        var reader = request.BodyReader;
        if (request.ContentLength is { } length)
        {
            if (length == 0)
            {
                return kv.PutAsync(key, ReadOnlyMemory<byte>.Empty, options, context.RequestAborted);
            }

            if (length > LimitOf(kv))
            {
                return kv.PutAsync(key, new OverlongBody(length), options, context.RequestAborted);
            }

            if (length <= SmallBytesMax && reader.TryRead(out var read))
            {
                var isWhole = read.Buffer.Length == length && read.Buffer.IsSingleSegment;
                try
                {
                    if (isWhole)
                    {
                        // Copied when the put is called.
                        return kv.PutAsync(key, read.Buffer.First, options, context.RequestAborted);
                    }
                }
                finally
                {
                    // Also when it is refused: a read that is not ended would cost the connection.
                    reader.AdvanceTo(isWhole ? read.Buffer.End : read.Buffer.Start);
                }
            }
        }

        LimitServer(context, LimitOf(kv) + BytesBeyondLimit);
        return kv.PutAsync(key, reader, options, context.RequestAborted);
    }

    /// <summary>The largest value that a namespace takes.</summary>
    public static int LimitOf(IKvNamespace kv) => ((kv as KvNamespace)?.Limits ?? s_defaults).ValueBytesMax;

    /// <summary>Lets a body be as long as this, where the server would stop it earlier, and no longer.</summary>
    /// <exception cref="RefusedException">It is announced to be longer (413).</exception>
    public static void Bound(HttpContext context, long bytesMax)
    {
        if (context.Request.ContentLength > bytesMax)
        {
            throw new RefusedException(new Failure(413, 10025, Invariant($"Request body of {context.Request.ContentLength} bytes exceeds limit of {bytesMax}.")));
        }

        LimitServer(context, bytesMax);
    }

    private static void LimitServer(HttpContext context, long bytesMax)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = bytesMax;
        }
    }
}
