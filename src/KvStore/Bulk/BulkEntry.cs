using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;

namespace KvStore.Bulk;

/// <summary>One entry of a bulk file, ready to be put.</summary>
internal readonly record struct BulkEntry(string Key, KvContent Content, KvPutOptions? Options)
{
    // Metadata lies in an entry.
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = KvJson.DepthMax + 1 };

    /// <summary>Opens the JSON of an entry, which is not copied.</summary>
    /// <exception cref="FormatException">It is nested too deeply.</exception>
    public static JsonDocument Open(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonDocument.Parse(json, s_options);
        }
        catch (JsonException e)
        {
            throw new FormatException(Invariant($"The entry is nested to a depth of more than {s_options.MaxDepth}."), e);
        }
    }

    /// <summary>The key of an entry, or null where it has none that can be read.</summary>
    /// <exception cref="FormatException">It holds what is not Unicode.</exception>
    public static string? KeyOf(JsonElement entry) =>
        entry.ValueKind == JsonValueKind.Object && TryGet(entry, "key", out var key) && key.ValueKind == JsonValueKind.String
            ? TextOf(key, "key")
            : null;

    /// <summary>Reads an entry.</summary>
    /// <exception cref="FormatException">Something is missing or of the wrong type; the message says what.</exception>
    public static BulkEntry Parse(JsonElement entry, string? key)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            throw new FormatException("An entry must be an object with \"key\" and \"value\".");
        }

        if (key is null)
        {
            throw new FormatException("\"key\" is missing, or not a text.");
        }

        if (!TryGet(entry, "value", out var value) || value.ValueKind != JsonValueKind.String)
        {
            throw new FormatException("\"value\" is missing, or not a text.");
        }

        KvContent content = IsBase64(entry) ? BytesOf(value) : TextOf(value, "value");
        var metadata = TryGet(entry, "metadata", out var json) ? MetadataOf(json) : default;
        var ttl = SecondsOf(entry, PutSeconds.TtlName);
        var expiration = SecondsOf(entry, PutSeconds.ExpirationName);
        if (metadata.IsNull && ttl is null && expiration is null)
        {
            return new BulkEntry(key, content, Options: null);
        }

        return new BulkEntry(key, content, new KvPutOptions
        {
            Metadata = metadata,
            ExpirationTtl = PutSeconds.ToTtl(ttl),
            Expiration = PutSeconds.ToExpiration(expiration),
        });
    }

    private static bool IsBase64(JsonElement entry)
    {
        if (!TryGet(entry, "base64", out var base64))
        {
            return false;
        }

        return base64.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False or JsonValueKind.Null => false,
            _ => throw new FormatException("\"base64\" must be true or false."),
        };
    }

    private static byte[] BytesOf(JsonElement value) => value.TryGetBytesFromBase64(out var bytes)
        ? bytes
        : throw new FormatException("\"value\" is not base64, which \"base64\": true says that it is.");

    private static KvMetadata MetadataOf(JsonElement json)
    {
        var utf8 = JsonMarshal.GetRawUtf8Value(json);
        if (!Utf8.IsValid(utf8))
        {
            throw new FormatException("\"metadata\" holds bytes that are not UTF-8.");
        }

        return KvMetadata.FromUtf8Json(utf8.ToArray());
    }

    private static long? SecondsOf(JsonElement entry, string name)
    {
        if (!TryGet(entry, name, out var number) || number.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        return number.ValueKind == JsonValueKind.Number
            && Int128.TryParse(JsonMarshal.GetRawUtf8Value(number), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? PutSeconds.Check(seconds, name)
            : throw new FormatException($"\"{name}\" must be a whole number of seconds.");
    }

    private static bool TryGet(JsonElement entry, string name, out JsonElement value)
    {
        try
        {
            return entry.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException e)
        {
            throw new FormatException("The name of a property holds an escape that is half of a surrogate pair.", e);
        }
    }

    private static string TextOf(JsonElement text, string name)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new FormatException($"\"{name}\" holds an escape that is half of a surrogate pair, or bytes that are not UTF-8.", e);
        }
    }
}
