using System.Buffers;
using System.Text.Json;
using KvStore.Json;

namespace KvStore.Rules;

/// <summary>
/// Converts metadata to the form that is stored and counted: the JSON that <c>JSON.stringify</c> writes, without white space and
/// without needless escapes.
/// </summary>
/// <remarks>
/// System.Text.Json escapes more than that even with its relaxed encoder, so the tokens are read by it and written here. Numbers
/// are kept as they were written: a 64-bit integer keeps all its digits.
/// </remarks>
internal static class MetadataCodec
{
    // White space, which may also be in a text, and escapes. JSON without them is compact.
    private static readonly SearchValues<byte> s_notCompact = SearchValues.Create(" \t\r\n\\"u8);

    /// <summary>The compact form of metadata, within the limit.</summary>
    /// <exception cref="KvException">It is longer than the limit (413).</exception>
    public static ReadOnlyMemory<byte> Encode(KvMetadata metadata, int metadataBytesMax)
    {
        if (metadata.IsNull)
        {
            return default;
        }

        var compact = metadata.IsCompact ? metadata.Utf8Json : Compact(metadata.Utf8Json);
        if (compact.Length > metadataBytesMax)
        {
            throw new KvException(413, "PUT", Invariant($"Metadata length of {compact.Length} exceeds limit of {metadataBytesMax}.")) { ParamName = "metadata" };
        }

        return compact;
    }

    private static ReadOnlyMemory<byte> Compact(ReadOnlyMemory<byte> metadata)
    {
        var json = metadata.Span;
        if (!json.ContainsAny(s_notCompact))
        {
            return metadata;
        }

        var output = new ArrayBufferWriter<byte>(json.Length);
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
        var needsComma = false;
        while (reader.Read())
        {
            var closes = reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray;
            if (needsComma && !closes)
            {
                output.Write(","u8);
            }

            needsComma = true;
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject:
                    output.Write("{"u8);
                    needsComma = false;
                    break;
                case JsonTokenType.StartArray:
                    output.Write("["u8);
                    needsComma = false;
                    break;
                case JsonTokenType.EndObject:
                    output.Write("}"u8);
                    break;
                case JsonTokenType.EndArray:
                    output.Write("]"u8);
                    break;
                case JsonTokenType.PropertyName:
                    WriteText(ref reader, output);
                    output.Write(":"u8);
                    needsComma = false;
                    break;
                case JsonTokenType.String:
                    WriteText(ref reader, output);
                    break;
                default:
                    output.Write(reader.ValueSpan);
                    break;
            }
        }

        return output.WrittenMemory;
    }

    private static void WriteText(ref Utf8JsonReader reader, ArrayBufferWriter<byte> output)
    {
        output.Write("\""u8);
        if (!reader.ValueIsEscaped)
        {
            output.Write(reader.ValueSpan);
        }
        else
        {
            WriteUnescaped(reader.ValueSpan, output);
        }

        output.Write("\""u8);
    }

    // The text between the quotes is well-formed JSON, so only escapes are checked.
    private static void WriteUnescaped(ReadOnlySpan<byte> text, ArrayBufferWriter<byte> output)
    {
        Span<byte> utf8 = stackalloc byte[4];
        while (text.IndexOf((byte)'\\') is var at && at >= 0)
        {
            output.Write(text[..at]);
            text = text[at..];
            if (text[1] == 'u')
            {
                var unit = Hex(text[2..6]);
                var isPair = char.IsHighSurrogate(unit) && text.Length >= 12 && text[6] == '\\' && text[7] == 'u'
                    && char.IsLowSurrogate(Hex(text[8..12]));
                if (isPair)
                {
                    var rune = new System.Text.Rune(unit, Hex(text[8..12]));
                    output.Write(utf8[..rune.EncodeToUtf8(utf8)]);
                    text = text[12..];
                    continue;
                }

                if (unit >= 0x20 && unit != '"' && unit != '\\' && !char.IsSurrogate(unit))
                {
                    output.Write(utf8[..new System.Text.Rune(unit).EncodeToUtf8(utf8)]);
                }
                else
                {
                    WriteEscaped(unit, output);
                }

                text = text[6..];
            }
            else if (text[1] == '/')
            {
                output.Write("/"u8);
                text = text[2..];
            }
            else
            {
                // \" \\ \b \f \n \r \t are the short forms already.
                output.Write(text[..2]);
                text = text[2..];
            }
        }

        output.Write(text);
    }

    private static void WriteEscaped(char unit, ArrayBufferWriter<byte> output)
    {
        switch (unit)
        {
            case '"':
                output.Write("\\\""u8);
                break;
            case '\\':
                output.Write("\\\\"u8);
                break;
            case '\b':
                output.Write("\\b"u8);
                break;
            case '\f':
                output.Write("\\f"u8);
                break;
            case '\n':
                output.Write("\\n"u8);
                break;
            case '\r':
                output.Write("\\r"u8);
                break;
            case '\t':
                output.Write("\\t"u8);
                break;
            default:
                var span = output.GetSpan(6);
                "\\u"u8.CopyTo(span);
                for (var i = 0; i < 4; i++)
                {
                    span[2 + i] = (byte)"0123456789abcdef"[(unit >> (12 - (4 * i))) & 0xF];
                }

                output.Advance(6);
                break;
        }
    }

    private static char Hex(ReadOnlySpan<byte> digits)
    {
        var unit = 0;
        foreach (var digit in digits)
        {
            unit = (unit << 4) | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }

        return (char)unit;
    }
}
