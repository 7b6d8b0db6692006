using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;
using KvStore.Json;
using KvStore.Rules;

namespace KvStore.Bulk;

/// <summary>One entry of a bulk file, ready to be put.</summary>
/// <param name="Key">The key.</param>
/// <param name="Content">The value.</param>
/// <param name="ValueBytes">The length of the value.</param>
/// <param name="Options">The options of the put; null for none.</param>
internal readonly record struct BulkEntry(string Key, KvContent Content, long ValueBytes, KvPutOptions? Options) : IAsyncDisposable
{
    /// <summary>The message for a value that is not base64 although the entry says so.</summary>
    public const string NotBase64 = "\"value\" is not base64, which \"base64\": true says that it is.";

    // Metadata is nested in an entry.
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = KvJson.DepthMax + 1 };

    /// <summary>Opens the JSON of an entry, which is not copied.</summary>
    /// <exception cref="FormatException">It is nested too deeply.</exception>
    public static JsonDocument Open(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonDocument.Parse(json, s_options);
        }
        catch (JsonException)
        {
            throw new FormatException(Invariant($"The entry is nested to a depth of more than {s_options.MaxDepth}."));
        }
    }

    /// <summary>The key of an entry; null when it has none, or none that can be read.</summary>
    /// <exception cref="FormatException">It holds what is not Unicode, or is much too long.</exception>
    public static string? KeyOf(JsonElement entry, LongTextFilter texts) =>
        entry.ValueKind == JsonValueKind.Object && TryGet(entry, "key", out var key) && key.ValueKind == JsonValueKind.String
            ? KeyTextOf(key, texts)
            : null;

    /// <summary>A key in an array of keys.</summary>
    /// <exception cref="FormatException">It holds what is not Unicode, or is much too long.</exception>
    public static string KeyTextOf(JsonElement key, LongTextFilter texts)
    {
        var text = TextOf(key, "key");
        return !texts.IsEmpty && texts.Find(text) is not null
            ? throw new FormatException($"\"key\" is longer than {LongTextFilter.StringBytesMax} bytes.")
            : text;
    }

    /// <summary>A key, or a listed key: an object with the property <c>name</c>.</summary>
    /// <exception cref="FormatException">It is neither, or is not Unicode, or is much too long.</exception>
    public static string NameOf(JsonElement entry, LongTextFilter texts)
    {
        var name = entry.ValueKind == JsonValueKind.Object && TryGet(entry, "name", out var property) ? property : entry;
        return name.ValueKind == JsonValueKind.String
            ? KeyTextOf(name, texts)
            : throw new FormatException("It is not a key: each must be a text.");
    }

    /// <summary>Reads an entry.</summary>
    /// <param name="entry">The JSON of the entry.</param>
    /// <param name="key">Its key, or null where it has none.</param>
    /// <param name="texts">Its texts that are too long to be held in memory.</param>
    /// <param name="cancellationToken">Ends the reading of a long text.</param>
    /// <exception cref="FormatException">Something is missing or of the wrong type, or too long; the message says what.</exception>
    public static async ValueTask<BulkEntry> ParseAsync(JsonElement entry, string? key, LongTextFilter texts, CancellationToken cancellationToken)
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

        var isBase64 = IsBase64(entry);
        var metadata = TryGet(entry, "metadata", out var json) ? MetadataOf(json, texts) : default;
        var ttl = SecondsOf(entry, PutSeconds.TtlName);
        var expiration = SecondsOf(entry, PutSeconds.ExpirationName);
        var options = metadata.IsNull && ttl is null && expiration is null
            ? null
            : new KvPutOptions
            {
                Metadata = metadata,
                ExpirationTtl = PutSeconds.ToTtl(ttl),
                Expiration = PutSeconds.ToExpiration(expiration),
            };
        if (texts.IsEmpty || texts.Find(TextOf(value, "value")) is not { } text)
        {
            if (isBase64)
            {
                var bytes = BytesOf(value);
                return new BulkEntry(key, bytes, bytes.Length, options);
            }

            var whole = TextOf(value, "value");
            return new BulkEntry(key, whole, System.Text.Encoding.UTF8.GetByteCount(whole), options);
        }

        if (!text.IsUnicode)
        {
            throw new FormatException(isBase64 ? NotBase64 : NotUnicode("value"));
        }

        var stream = isBase64 ? await text.ReadBase64Async(cancellationToken).ConfigureAwait(false) : text.Read();
        return new BulkEntry(key, stream, stream.Length, options);
    }

    /// <summary>Releases a value that is not in memory.</summary>
    public ValueTask DisposeAsync() => Content.Stream?.DisposeAsync() ?? default;

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

    private static byte[] BytesOf(JsonElement value)
    {
        try
        {
            return value.TryGetBytesFromBase64(out var bytes) ? bytes : throw new FormatException(NotBase64);
        }
        catch (InvalidOperationException e)
        {
            // It has an escape that is half of a surrogate pair.
            throw new FormatException(NotBase64, e);
        }
    }

    private static KvMetadata MetadataOf(JsonElement json, LongTextFilter texts)
    {
        var utf8 = JsonMarshal.GetRawUtf8Value(json);
        if (!Utf8.IsValid(utf8))
        {
            throw new FormatException("\"metadata\" holds bytes that are not UTF-8.");
        }

        if (texts.NamesIn(utf8).Count > 0)
        {
            throw new FormatException($"\"metadata\" holds a text of more than {LongTextFilter.StringBytesMax} bytes.");
        }

        return KvMetadata.FromUtf8Json(utf8.ToArray());
    }

    private static long? SecondsOf(JsonElement entry, string name)
    {
        if (!TryGet(entry, name, out var number) || number.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (number.ValueKind == JsonValueKind.Number)
        {
            var digits = JsonMarshal.GetRawUtf8Value(number);
            if (Int128.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
            {
                return PutSeconds.Check(seconds, name);
            }

            // JSON has one kind of number: 60.0 and 6e1 are 60.
            if (double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var number64) && double.IsInteger(number64))
            {
                return Math.Abs(number64) < 1e15
                    ? PutSeconds.Check((long)number64, name)
                    : throw PutSeconds.Refused(name, $"Invalid {name}. {(number64 < 0 ? PutSeconds.RuleOf(name) : PutSeconds.LatestText)}");
            }
        }

        throw new FormatException($"\"{name}\" must be a whole number of seconds.");
    }

    private static bool TryGet(JsonElement entry, string name, out JsonElement value)
    {
        try
        {
            return entry.TryGetProperty(name, out value);
        }
        catch (InvalidOperationException)
        {
            throw new FormatException("The name of a property holds an escape that is half of a surrogate pair.");
        }
    }

    private static string TextOf(JsonElement text, string name)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new FormatException(NotUnicode(name));
        }
    }

    private static string NotUnicode(string name) => $"\"{name}\" holds an escape that is half of a surrogate pair, or bytes that are not UTF-8.";
}
