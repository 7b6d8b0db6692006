using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using KvStore.Json;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>A get of many keys, as both protocols send it: <c>{"keys": [...], "type": "text", "withMetadata": false}</c>.</summary>
internal sealed record BulkGetRequest(IReadOnlyCollection<string> Keys, bool IsJson, bool WithMetadata, KvGetOptions? Options)
{
    private const int PartBytes = 16 * 1024;
    private static ReadOnlySpan<byte> ByteOrderMark => "\uFEFF"u8;

    private const string NotJson = "At least one of the requested keys corresponds to a non-json value";

    /// <summary>Reads the body, whose length has been bounded.</summary>
    /// <exception cref="KvException">Something is missing or of the wrong type (400).</exception>
    public static async Task<BulkGetRequest> ReadAsync(HttpContext context)
    {
        try
        {
            using var json = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted).ConfigureAwait(false);
            var root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("keys"u8, out var keys) || keys.ValueKind != JsonValueKind.Array)
            {
                throw Bad("The body must be {\"keys\": [...]}.");
            }

            var type = root.TryGetProperty("type"u8, out var name) && name.ValueKind == JsonValueKind.String ? name.GetString()! : "";
            if (type is not ("" or "text" or "json"))
            {
                throw Bad($"\"{type}\" is not a valid type. Use \"json\" or \"text\"");
            }

            return new BulkGetRequest(
                [.. keys.EnumerateArray().Select(KeyOf)],
                type == "json",
                root.TryGetProperty("withMetadata"u8, out var with) && with.ValueKind == JsonValueKind.True,
                CacheTtl(root));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Bad("The body must be JSON: {\"keys\": [...]}, where each key is a text.");
        }
    }

    /// <summary>Checks that all values are JSON, before the first is written.</summary>
    /// <exception cref="KvException">One is not (400).</exception>
    public static async Task CheckAllAreJsonAsync(IEnumerable<KvValue> values, CancellationToken cancellationToken)
    {
        foreach (var value in values)
        {
            if (value.Exists && !(value.IsLarge ? await IsOneLargeJsonAsync(value, cancellationToken).ConfigureAwait(false) : IsOneJson(Unmarked(value.GetBytes()).Span)))
            {
                throw Bad(NotJson);
            }
        }
    }

    /// <summary>
    /// What is answered, by name. JSON text in UTF-8 cannot hold half of a surrogate pair, so such a key is named with U+FFFD,
    /// unless the key that is really called so was asked for.
    /// </summary>
    public static IEnumerable<(string Name, KvValue Value)> Answers(IReadOnlyDictionary<string, KvValue> values)
    {
        HashSet<string>? repaired = null;
        foreach (var (key, value) in values)
        {
            if (KeyRules.IsUnicode(key))
            {
                yield return (key, value);
            }
            else if (Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(key)) is var name && !values.ContainsKey(name) && (repaired ??= []).Add(name))
            {
                yield return (name, value);
            }
        }
    }

    /// <summary>Writes a value that exists: as a text, or as the JSON that it is.</summary>
    /// <remarks>
    /// A long one goes out part by part, each when the client has taken the one before: no more than a part is held for a
    /// client that does not read, and the server's limit on slow ones counts from part to part.
    /// </remarks>
    public ValueTask WriteValueAsync(Utf8JsonWriter json, KvValue value, HttpResponse response)
    {
        if (value.IsLarge || value.Length > PartBytes)
        {
            return WritePartsAsync(json, value, response);
        }

        var bytes = Unmarked(value.GetBytes());
        if (IsJson)
        {
            json.WriteRawValue(KvJson.Repair(bytes.Span), skipInputValidation: true);
        }
        else
        {
            json.WriteStringValue(KvJson.Repair(bytes.Span));
        }

        return default;
    }

    private async ValueTask WritePartsAsync(Utf8JsonWriter json, KvValue value, HttpResponse response)
    {
        var cancellationToken = response.HttpContext.RequestAborted;
        var bytes = ArrayPool<byte>.Shared.Rent(PartBytes);
        var chars = ArrayPool<char>.Shared.Rent(Encoding.UTF8.GetMaxCharCount(PartBytes));
        var stream = value.OpenStream();
        try
        {
            // Also puts U+FFFD in the place of what is not UTF-8, wherever the parts meet.
            var decoder = Encoding.UTF8.GetDecoder();
            bool isLast;
            var isFirst = true;
            do
            {
                var read = await stream.ReadAtLeastAsync(bytes.AsMemory(0, PartBytes), PartBytes, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                isLast = read < PartBytes;
                var part = isFirst ? Unmarked(bytes.AsMemory(0, read)) : bytes.AsMemory(0, read);
                var count = decoder.GetChars(part.Span, chars, flush: isLast);
                if (!IsJson)
                {
                    json.WriteStringValueSegment(chars.AsSpan(0, count), isLast);
                }
                else if (isFirst)
                {
                    // To the writer that is the value; the rest goes past it.
                    json.WriteRawValue(chars.AsSpan(0, count), skipInputValidation: true);
                }
                else
                {
                    Encoding.UTF8.GetBytes(chars.AsSpan(0, count), response.BodyWriter);
                }

                isFirst = false;
                await json.FlushAsync(cancellationToken).ConfigureAwait(false);
                await response.BodyWriter.FlushAsync(cancellationToken).ConfigureAwait(false);
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

    private static async ValueTask<bool> IsOneLargeJsonAsync(KvValue value, CancellationToken cancellationToken)
    {
        var stream = value.OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            var mark = new byte[ByteOrderMark.Length];
            var read = await stream.ReadAtLeastAsync(mark, mark.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            stream.Position = mark.AsSpan(0, read).SequenceEqual(ByteOrderMark) ? read : 0;
            return await JsonCheck.IsOneJsonAsync(stream, cancellationToken).ConfigureAwait(false);
        }
    }

    // Among many, a byte order mark is not part of the value.
    private static ReadOnlyMemory<byte> Unmarked(ReadOnlyMemory<byte> bytes) => bytes.Span.StartsWith(ByteOrderMark) ? bytes[ByteOrderMark.Length..] : bytes;

    private static bool IsOneJson(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(KvJson.Repair(bytes), new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
            if (!reader.Read())
            {
                return false;
            }

            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    // Half of a surrogate pair, which only an escape can spell, is text to JavaScript: a key that is missing. To the reader of
    // JSON it is an error.
    private static string KeyOf(JsonElement key)
    {
        if (key.ValueKind != JsonValueKind.String)
        {
            throw Bad("Keys must be texts.");
        }

        try
        {
            return key.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescape(key.GetRawText().AsSpan()[1..^1]);
        }
    }

    private static string Unescape(ReadOnlySpan<char> json)
    {
        var text = new StringBuilder(json.Length);
        for (var i = 0; i < json.Length; i++)
        {
            if (json[i] != '\\')
            {
                text.Append(json[i]);
                continue;
            }

            i++;
            if (json[i] == 'u')
            {
                text.Append((char)ushort.Parse(json.Slice(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                i += 4;
                continue;
            }

            text.Append(json[i] switch { 'b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r', 't' => '\t', var other => other });
        }

        return text.ToString();
    }

    private static KvGetOptions? CacheTtl(JsonElement root)
    {
        if (!root.TryGetProperty("cacheTtl"u8, out var ttl) || ttl.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        var text = ttl.ValueKind == JsonValueKind.String ? ttl.GetString() : ttl.GetRawText();
        return new KvGetOptions { CacheTtl = Seconds.CacheTtl(text!, "GET_BULK") };
    }

    private static KvException Bad(string reason) => new(400, "GET_BULK", reason);
}
