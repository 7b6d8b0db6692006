using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>Writes a value as the body of a response: its length first, then its bytes, without a copy of the value.</summary>
internal static class ValueResponse
{
    // A client that does not read must not make the server buffer more than this.
    private const int AtOnceBytesMax = 32 * 1024;

    /// <summary>Writes a value, and disposes it when it is a large one.</summary>
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

        // The server sends it when the request ends.
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
            // The stream keeps the file open by itself.
            ValueLeases.Release(kv, value);
        }

        await using (stream.ConfigureAwait(false))
        {
            await stream.CopyToAsync(response.Body, response.HttpContext.RequestAborted).ConfigureAwait(false);
        }
    }
}
