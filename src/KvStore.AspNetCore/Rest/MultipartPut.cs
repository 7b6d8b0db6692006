using System.Buffers;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace KvStore.Rest;

/// <summary>
/// A put with metadata: <c>multipart/form-data</c> with the parts <c>value</c> and <c>metadata</c>, in any order. A value that
/// is not small waits in a temporary file for the end of the body: one that breaks off changes nothing.
/// </summary>
internal static class MultipartPut
{
    private const int InMemoryBytesMax = 64 * 1024;
    private const int MetadataBytesMax = 256 * 1024;

    // The framing around the parts: headers and boundaries.
    private const int FramingBytesMax = 64 * 1024;

    public static async Task PutAsync(HttpContext context, IKvNamespace kv, string key)
    {
        var valueBytesMax = RequestBody.LimitOf(kv);
        RequestBody.Bound(context, (long)valueBytesMax + MetadataBytesMax + FramingBytesMax);
        var parts = new MultipartParts(context);
        FileBufferingReadStream? value = null;
        try
        {
            KvMetadata? metadata = null;
            while (await parts.NextAsync().ConfigureAwait(false) is { } section)
            {
                switch (NameOf(section))
                {
                    case "value" when value is null:
                        value = new FileBufferingReadStream(section.Body, InMemoryBytesMax, bufferLimit: null, Path.GetTempPath());
                        if (await IsLongerAsync(value, valueBytesMax, context.RequestAborted).ConfigureAwait(false))
                        {
                            // Refused in its turn, with the namespace's own message, and read no further.
                            await kv.PutAsync(
                                key, new OverlongBody(valueBytesMax + 1L), PutQuery.Read(context.Request, metadata ?? default), context.RequestAborted).ConfigureAwait(false);
                        }

                        break;
                    case "metadata" when metadata is null:
                        metadata = await ReadMetadataAsync(section.Body, context.RequestAborted).ConfigureAwait(false);
                        break;
                    default:
                        throw Malformed("A part is unknown or came twice; a put has the parts \"value\" and \"metadata\", once each.");
                }
            }

            if (value is null)
            {
                throw Malformed("The part \"value\" is missing.");
            }

            value.Position = 0;
            await kv.PutAsync(key, value, PutQuery.Read(context.Request, metadata ?? default), context.RequestAborted).ConfigureAwait(false);
        }
        finally
        {
            if (value is not null)
            {
                await value.DisposeAsync().ConfigureAwait(false);
            }
        }

        await Envelope.WriteDoneAsync(context.Response).ConfigureAwait(false);
    }

    // Reads a part to its end, or to the first byte over the limit.
    private static async Task<bool> IsLongerAsync(FileBufferingReadStream value, int valueBytesMax, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            while (await value.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) > 0)
            {
                if (value.Length > valueBytesMax)
                {
                    return true;
                }
            }

            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task<KvMetadata> ReadMetadataAsync(Stream body, CancellationToken cancellationToken)
    {
        using var bytes = new MemoryStream();
        var buffer = new byte[4096];
        while (await body.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is var read and > 0)
        {
            if (bytes.Length + read > MetadataBytesMax)
            {
                throw new RefusedException(new Failure(413, 10025, $"Metadata length of more than {MetadataBytesMax} bytes."));
            }

            bytes.Write(buffer, 0, read);
        }

        try
        {
            return KvMetadata.FromUtf8Json(bytes.ToArray());
        }
        catch (System.Text.Json.JsonException)
        {
            throw Malformed("The part \"metadata\" must be one JSON value.");
        }
    }

    private static string? NameOf(MultipartSection section) =>
        ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition)
            ? HeaderUtilities.RemoveQuotes(disposition.Name).Value
            : null;

    private static RefusedException Malformed(string message) => new(Failure.Malformed(message));
}
