using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>Writes the values of a get of many keys as one JSON object, by key.</summary>
internal static class BulkGetResponse
{
    private const int PartBytes = 16 * 1024;

    private static ReadOnlySpan<byte> ByteOrderMark => "\uFEFF"u8;

    /// <summary>Writes the properties of the object that the writer has begun.</summary>
    /// <param name="json">The writer.</param>
    /// <param name="request">The request.</param>
    /// <param name="values">The values by key.</param>
    /// <param name="response">The response that the writer writes to.</param>
    /// <param name="showsExpiration">Whether the expiration stands beside the metadata.</param>
    public static async Task WriteAsync(
        Utf8JsonWriter json, BulkGetRequest request, IReadOnlyDictionary<string, KvValue> values, HttpResponse response, bool showsExpiration)
    {
        foreach (var (key, value) in Named(values))
        {
            json.WritePropertyName(key);
            if (!value.Exists)
            {
                json.WriteNullValue();
            }
            else if (request.WithMetadata)
            {
                json.WriteStartObject();
                json.WritePropertyName("value"u8);
                await WriteValueAsync(json, request.IsJson, value, response).ConfigureAwait(false);
                json.WritePropertyName("metadata"u8);
                JsonResponse.WriteMetadata(json, value.Metadata);
                if (showsExpiration && value.Expiration is { } expiration)
                {
                    json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
                }

                json.WriteEndObject();
            }
            else
            {
                await WriteValueAsync(json, request.IsJson, value, response).ConfigureAwait(false);
            }

            await JsonResponse.FlushIfLargeAsync(json, response).ConfigureAwait(false);
        }
    }

    // JSON in UTF-8 cannot hold half of a surrogate pair, so such a key is named with U+FFFD, unless the key with that very name
    // was requested too.
    private static IEnumerable<(string Name, KvValue Value)> Named(IReadOnlyDictionary<string, KvValue> values)
    {
        HashSet<string>? repaired = null;
        foreach (var (key, value) in values)
        {
            var name = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(key));
            if (name == key)
            {
                yield return (key, value);
            }
            else if (!values.ContainsKey(name) && (repaired ??= []).Add(name))
            {
                yield return (name, value);
            }
        }
    }

    private static ValueTask WriteValueAsync(Utf8JsonWriter json, bool isJson, KvValue value, HttpResponse response)
    {
        if (value.IsLarge || value.Length > PartBytes)
        {
            return WritePartsAsync(json, isJson, value, response);
        }

        var bytes = Repair(WithoutMark(value.GetBytes()).Span);
        if (isJson)
        {
            json.WriteRawValue(bytes, skipInputValidation: true);
        }
        else
        {
            json.WriteStringValue(bytes);
        }

        return default;
    }

    // A long value is sent part by part, each when the client has taken the one before. So the server buffers one part for a
    // client that does not read, and its limit on slow clients applies from part to part.
    private static async ValueTask WritePartsAsync(Utf8JsonWriter json, bool isJson, KvValue value, HttpResponse response)
    {
        var cancellationToken = response.HttpContext.RequestAborted;
        var bytes = ArrayPool<byte>.Shared.Rent(PartBytes);
        var chars = ArrayPool<char>.Shared.Rent(Encoding.UTF8.GetMaxCharCount(PartBytes));
        var stream = value.OpenStream();
        try
        {
            // Replaces bytes that are not UTF-8 by U+FFFD, also where two parts meet.
            var decoder = Encoding.UTF8.GetDecoder();
            bool isLast;
            var isFirst = true;
            do
            {
                var read = await stream.ReadAtLeastAsync(bytes.AsMemory(0, PartBytes), PartBytes, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                isLast = read < PartBytes;
                var part = isFirst ? WithoutMark(bytes.AsMemory(0, read)) : bytes.AsMemory(0, read);
                var count = decoder.GetChars(part.Span, chars, flush: isLast);
                if (!isJson)
                {
                    json.WriteStringValueSegment(chars.AsSpan(0, count), isLast);
                }
                else if (isFirst)
                {
                    // The writer takes this for the whole value; the rest is written past it.
                    json.WriteRawValue(chars.AsSpan(0, count), skipInputValidation: true);
                }
                else
                {
                    Encoding.UTF8.GetBytes(chars.AsSpan(0, count), response.BodyWriter);
                }

                isFirst = false;
                await JsonResponse.FlushAsync(json, response).ConfigureAwait(false);
            }
            while (!isLast);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
            ArrayPool<char>.Shared.Return(chars);
            await stream.DisposeAsync().ConfigureAwait(false);
        }
    }

    // A get of many keys drops a byte order mark; a get of one key keeps it.
    private static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> bytes) => bytes.Span.StartsWith(ByteOrderMark) ? bytes[ByteOrderMark.Length..] : bytes;

    private static ReadOnlySpan<byte> Repair(ReadOnlySpan<byte> utf8) =>
        Utf8.IsValid(utf8) ? utf8 : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(utf8));
}
