using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>Puts the body of a request as a value.</summary>
internal static class PutBody
{
    // The namespace counts the bytes as it reads them and refuses too many with its own message. The limit of the server is only
    // a second bound, a little further on.
    private const long BytesBeyondLimit = 64 * 1024;

    // A body that has arrived with the head of the request, and can be put without waiting.
    private const long SmallBytesMax = 64 * 1024;

    /// <summary>Puts the body. The namespace reads it to its end or to its own limit, whichever comes first.</summary>
    /// <returns>As <see cref="PutTarget.PutAsync"/>.</returns>
    public static ValueTask<long> PutAsync(HttpContext context, PutTarget target, string key, KvPutOptions? options)
    {
        var request = context.Request;
        var reader = request.BodyReader;
        var valueBytesMax = RequestBody.ValueBytesMax(target.Namespace);
        if (request.ContentLength is { } length)
        {
            if (length == 0)
            {
                return target.PutAsync(key, ReadOnlyMemory<byte>.Empty, options, context.RequestAborted);
            }

            if (length > valueBytesMax)
            {
                return target.PutAsync(key, new OverlongBody(length), options, context.RequestAborted);
            }

            if (length <= SmallBytesMax && reader.TryRead(out var read))
            {
                var isWhole = read.Buffer.Length == length && read.Buffer.IsSingleSegment;
                try
                {
                    if (isWhole)
                    {
                        // The put copies the bytes before it returns.
                        return target.PutAsync(key, read.Buffer.First, options, context.RequestAborted);
                    }
                }
                finally
                {
                    // Also when the put is refused: a read that is not ended would cost the connection.
                    reader.AdvanceTo(isWhole ? read.Buffer.End : read.Buffer.Start);
                }
            }
        }

        RequestBody.LimitServer(context, valueBytesMax + BytesBeyondLimit);
        return target.PutAsync(key, reader, options, context.RequestAborted);
    }
}
