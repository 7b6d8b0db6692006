using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>Writes a value as the body of a response: its length first, then its bytes, straight from where they lie.</summary>
internal static class ValueResponse
{
    // Beyond that, a client that does not read must not make the server hold more than it has taken.
    private const int AtOnceBytesMax = 32 * 1024;

    public static Task WriteAsync(HttpResponse response, IKvNamespace kv, in KvValue value)
    {
        response.ContentLength = value.Length;
        if (value.IsLarge)
        {
            return CopyAsync(response, kv, value);
        }

        var bytes = value.GetBytes();
        if (bytes.Length > AtOnceBytesMax)
        {
            return WriteAsync(response, bytes);
        }

        // Sent when the request ends.
        response.BodyWriter.Write(bytes.Span);
        return Task.CompletedTask;
    }

    private static async Task WriteAsync(HttpResponse response, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var part = bytes[..Math.Min(bytes.Length, AtOnceBytesMax)];
            bytes = bytes[part.Length..];
            var flushed = await response.BodyWriter.WriteAsync(part, response.HttpContext.RequestAborted).ConfigureAwait(false);
            if (flushed.IsCompleted)
            {
                return;
            }
        }
    }

    private static async Task CopyAsync(HttpResponse response, IKvNamespace kv, KvValue value)
    {
        Stream stream;
        try
        {
            stream = value.OpenStream();
        }
        finally
        {
            // The stream holds the file by itself.
            HeldViews.Release(kv, value);
        }

        await using (stream.ConfigureAwait(false))
        {
            await stream.CopyToAsync(response.Body, response.HttpContext.RequestAborted).ConfigureAwait(false);
        }
    }
}
