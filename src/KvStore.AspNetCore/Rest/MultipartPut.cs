using KvStore.Http;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// A put with metadata: <c>multipart/form-data</c> with the parts <c>value</c> and <c>metadata</c>, in any order. The value is kept
/// until the body ends, a long one in a temporary file, so that a body that breaks off changes nothing.
/// </summary>
internal static class MultipartPut
{
    private const int MetadataBytesMax = 256 * 1024;

    // The headers and boundaries around the parts.
    private const int FramingBytesMax = 64 * 1024;

    /// <summary>Puts the value.</summary>
    /// <returns>As <see cref="PutTarget.PutAsync"/>.</returns>
    public static async Task<long> PutAsync(HttpContext context, PutTarget target, string key)
    {
        var valueBytesMax = RequestBody.ValueBytesMax(target.Namespace);
        RequestBody.Bound(context, (long)valueBytesMax + MetadataBytesMax + FramingBytesMax);
        var body = new MultipartBody(context);
        Stream? value = null;
        try
        {
            KvMetadata? metadata = null;
            while (await body.NextAsync().ConfigureAwait(false) is { } part)
            {
                switch (part.Name)
                {
                    case "value" when value is null:
                        value = await part.BufferAsync(valueBytesMax).ConfigureAwait(false);
                        if (value is null)
                        {
                            // The namespace refuses it with its own message. The rest of the body is not read.
                            await target.PutAsync(
                                key, new OverlongBody(valueBytesMax + 1L), PutQuery.Read(context.Request, metadata ?? default), context.RequestAborted).ConfigureAwait(false);
                        }

                        break;
                    case "metadata" when metadata is null:
                        metadata = await ReadMetadataAsync(part).ConfigureAwait(false);
                        break;
                    default:
                        throw Malformed("A part is unknown or came twice; a put has the parts \"value\" and \"metadata\", once each.");
                }
            }

            if (value is null)
            {
                throw Malformed("The part \"value\" is missing.");
            }

            return await target.PutAsync(key, value, PutQuery.Read(context.Request, metadata ?? default), context.RequestAborted).ConfigureAwait(false);
        }
        finally
        {
            if (value is not null)
            {
                await value.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static async Task<KvMetadata> ReadMetadataAsync(MultipartPart part)
    {
        var json = await part.ReadBytesAsync(MetadataBytesMax).ConfigureAwait(false)
            ?? throw new RefusedException(Failure.TooLarge(Invariant($"Metadata length of more than {MetadataBytesMax} bytes.")));
        try
        {
            return KvMetadata.FromUtf8Json(json);
        }
        catch (System.Text.Json.JsonException)
        {
            throw Malformed("The part \"metadata\" must be one JSON value.");
        }
    }

    private static RefusedException Malformed(string message) => new(Failure.Malformed(message));
}
