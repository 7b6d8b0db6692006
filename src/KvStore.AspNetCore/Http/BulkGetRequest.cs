using System.Globalization;
using System.Text;
using System.Text.Json;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>A get of many keys, as both protocols send it: <c>{"keys": [...], "type": "text", "withMetadata": false}</c>.</summary>
internal sealed record BulkGetRequest(IReadOnlyCollection<string> Keys, bool IsJson, bool WithMetadata, KvGetOptions? Options)
{
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

            var type = !TryGet(root, "type"u8, out var name) ? ""
                : name.ValueKind == JsonValueKind.String ? name.GetString()!
                : throw Bad("\"type\" must be \"json\" or \"text\".");
            if (type is not ("" or "text" or "json"))
            {
                throw Bad($"\"{type}\" is not a valid type. Use \"json\" or \"text\"");
            }

            return new BulkGetRequest(
                [.. keys.EnumerateArray().Select(KeyOf)],
                type == "json",
                TryGet(root, "withMetadata"u8, out var with)
                    && (with.ValueKind is JsonValueKind.True or JsonValueKind.False ? with.GetBoolean() : throw Bad("\"withMetadata\" must be true or false.")),
                CacheTtl(root));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Bad("The body must be JSON: {\"keys\": [...]}, where each key is a text.");
        }
    }

    /// <summary>Checks that all values are JSON when the request is for JSON, before the first is written.</summary>
    /// <exception cref="KvException">A value is not JSON (400).</exception>
    public async Task CheckValuesAsync(IEnumerable<KvValue> values, CancellationToken cancellationToken)
    {
        if (!IsJson)
        {
            return;
        }

        foreach (var value in values)
        {
            if (value.Exists && !await value.IsJsonAsync(cancellationToken).ConfigureAwait(false))
            {
                throw Bad(BindingMessages.ValueIsNotJson);
            }
        }
    }

    // An escape can spell half of a surrogate pair, which the JSON reader refuses. To JavaScript it is a text like any other: a
    // key that does not exist.
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
        if (!TryGet(root, "cacheTtl"u8, out var ttl))
        {
            return null;
        }

        var text = ttl.ValueKind == JsonValueKind.String ? ttl.GetString() : ttl.GetRawText();
        return new KvGetOptions { CacheTtl = Seconds.CacheTtl(text!, "GET_BULK") };
    }

    // JavaScript may send null for a property that is not set.
    private static bool TryGet(JsonElement root, ReadOnlySpan<byte> name, out JsonElement value) =>
        root.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    private static KvException Bad(string reason) => new(400, "GET_BULK", reason);
}
