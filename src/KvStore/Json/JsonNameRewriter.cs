using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Json;

/// <summary>
/// Finds the names in a JSON text that are like a name of a type but not equal to it, and replaces them, so that System.Text.Json
/// finds the properties. Keys of dictionaries and the JSON that a converter reads are not changed.
/// </summary>
internal sealed class JsonNameRewriter
{
    private const int NameBytesMax = 256;

    private readonly bool _isCaseTolerant;
    private readonly bool _isDiscriminatorAnywhere;
    private char[]? _buffer;
    private List<JsonNameReplacement>? _replacements;

    private JsonNameRewriter(JsonSerializerOptions options)
    {
        _isCaseTolerant = options.PropertyNameCaseInsensitive;
        _isDiscriminatorAnywhere = options.AllowOutOfOrderMetadataProperties;
    }

    /// <summary>Whether a name in the text may have an underscore or a hyphen. False is certain, true is not.</summary>
    public static bool MayHaveSeparatedName(ReadOnlySpan<byte> utf8)
    {
        // Any character may be escaped.
        if (utf8.IndexOf("\\u00"u8) >= 0)
        {
            return true;
        }

        for (var separator = utf8.IndexOfAny((byte)'_', (byte)'-'); separator >= 0; separator = utf8.IndexOfAny((byte)'_', (byte)'-'))
        {
            // Within a name, the next quote ends the name, unless that quote is escaped.
            utf8 = utf8[(separator + 1)..];
            var quote = utf8.IndexOf((byte)'"');
            if (quote < 0)
            {
                return false;
            }

            var after = utf8[(quote + 1)..].TrimStart(" \t\r\n"u8);
            if ((quote > 0 && utf8[quote - 1] == '\\') || (after.Length > 0 && after[0] is (byte)':' or (byte)'/'))
            {
                return true;
            }

            utf8 = utf8[(quote + 1)..];
        }

        return false;
    }

    /// <summary>Replaces the names that are like a name of the type but not equal to it.</summary>
    /// <param name="utf8">The text.</param>
    /// <param name="names">The names of the type.</param>
    /// <param name="options">How the text is read.</param>
    /// <returns>The text with other names; null when there is nothing to replace, or when the text is not JSON.</returns>
    public static RenamedJson? Rewrite(ReadOnlySpan<byte> utf8, JsonNames names, JsonSerializerOptions options)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions
        {
            AllowTrailingCommas = options.AllowTrailingCommas,
            CommentHandling = options.ReadCommentHandling,
            MaxDepth = options.MaxDepth,
        });
        var rewriter = new JsonNameRewriter(options);
        try
        {
            if (reader.Read())
            {
                rewriter.ReadValue(ref reader, names);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Not JSON, or a name that is not Unicode. The reader of the text reports it.
            return null;
        }

        return rewriter._replacements is { } replacements ? new RenamedJson(utf8, replacements) : null;
    }

    private void ReadValue(ref Utf8JsonReader reader, JsonNames? names)
    {
        var isObject = reader.TokenType is JsonTokenType.StartObject;
        if (names is null || (!isObject && reader.TokenType is not JsonTokenType.StartArray))
        {
            reader.Skip();
        }
        else if (isObject && names.Kind is JsonTypeInfoKind.Object)
        {
            ReadObject(ref reader, names.DiscriminatorName is null ? names : DerivedNames(reader, names));
        }
        else if (isObject)
        {
            ReadEntries(ref reader, names);
        }
        else
        {
            var element = names.Kind is JsonTypeInfoKind.Enumerable ? names.Element : null;
            while (reader.Read() && reader.TokenType is not JsonTokenType.EndArray)
            {
                ReadValue(ref reader, element);
            }
        }
    }

    private void ReadObject(ref Utf8JsonReader reader, JsonNames names)
    {
        List<JsonNameReplacement>? alike = null;
        List<JsonNames.Property>? found = null;
        var next = 0;
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var property = names.At(next);
            if (property is not null && reader.ValueTextEquals(property.Name))
            {
                // Most texts have the properties in the order of the type. The properties before this one were found.
                next++;
            }
            else if (reader.ValueSpan.Length <= NameBytesMax)
            {
                _buffer ??= new char[NameBytesMax];
                property = names.Find(_buffer.AsSpan(0, reader.CopyString(_buffer)), _isCaseTolerant, out var isExact);
                if (property is not null && isExact)
                {
                    (found ??= []).Add(property);
                }
                else if (property is not null)
                {
                    (alike ??= []).Add(new((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2, property));
                }
            }
            else
            {
                property = null;
            }

            reader.Read();
            ReadValue(ref reader, property?.Names);
        }

        foreach (var replacement in alike ?? [])
        {
            // When the object also has the property under its exact name, that value is used.
            if (!names.IsBefore(next, replacement.Property) && found?.Contains(replacement.Property) is not true)
            {
                (_replacements ??= []).Add(replacement);
            }
        }
    }

    // A dictionary; or a sequence whose references are preserved, which is an object with its elements in $values.
    private void ReadEntries(ref Utf8JsonReader reader, JsonNames names)
    {
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var isSequence = reader.ValueTextEquals("$values"u8);
            var value = names.Kind is JsonTypeInfoKind.Dictionary ? names.Element : isSequence ? names : null;
            reader.Read();
            ReadValue(ref reader, value);
        }
    }

    // The reader is a copy: the object is read again.
    private JsonNames DerivedNames(Utf8JsonReader reader, JsonNames names)
    {
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var isDiscriminator = reader.ValueTextEquals(names.DiscriminatorName);
            var isMetadata = reader.ValueSpan.StartsWith("$"u8);
            reader.Read();
            if (isDiscriminator)
            {
                return reader.TokenType switch
                {
                    JsonTokenType.String => names.DerivedBy(reader.GetString()!),
                    JsonTokenType.Number => names.DerivedBy(Encoding.UTF8.GetString(reader.ValueSpan)),
                    _ => names,
                };
            }

            if (!isMetadata && !_isDiscriminatorAnywhere)
            {
                return names;
            }

            reader.Skip();
        }

        return names;
    }
}
