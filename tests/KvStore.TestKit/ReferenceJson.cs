using System.Globalization;
using System.Text;
using System.Text.Json;

namespace KvStore.TestKit;

/// <summary>JSON as <c>JSON.stringify</c> writes it, from its definition in ECMA-262; numbers as they were written.</summary>
internal static class ReferenceJson
{
    public static string Stringify(ReadOnlyMemory<byte> utf8)
    {
        using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = 10_000 });
        return Stringify(document.RootElement);
    }

    private static string Stringify(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => "{" + string.Join(",", json.EnumerateObject().Select(p => Name(p) + ":" + Stringify(p.Value))) + "}",
        JsonValueKind.Array => "[" + string.Join(",", json.EnumerateArray().Select(Stringify)) + "]",
        JsonValueKind.String => Quote(Unquote(json.GetRawText())),
        _ => json.GetRawText(),
    };

    // The text of a property begins with its name; JsonProperty.Name refuses unpaired surrogates.
    private static string Name(JsonProperty property)
    {
        var text = property.ToString();
        var end = 1;
        while (text[end] != '"')
        {
            end += text[end] == '\\' ? 2 : 1;
        }

        return Quote(Unquote(text[..(end + 1)]));
    }

    private static string Unquote(string quoted)
    {
        var text = new StringBuilder();
        for (var i = 1; i < quoted.Length - 1; i++)
        {
            if (quoted[i] != '\\')
            {
                text.Append(quoted[i]);
                continue;
            }

            i++;
            switch (quoted[i])
            {
                case 'u':
                    text.Append((char)ushort.Parse(quoted.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                    i += 4;
                    break;
                case 'b':
                    text.Append('\b');
                    break;
                case 'f':
                    text.Append('\f');
                    break;
                case 'n':
                    text.Append('\n');
                    break;
                case 'r':
                    text.Append('\r');
                    break;
                case 't':
                    text.Append('\t');
                    break;
                default:
                    text.Append(quoted[i]);
                    break;
            }
        }

        return text.ToString();
    }

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        for (var i = 0; i < text.Length; i++)
        {
            var unit = text[i];
            if (i + 1 < text.Length && char.IsSurrogatePair(unit, text[i + 1]))
            {
                quoted.Append(unit).Append(text[++i]);
                continue;
            }

            quoted.Append(unit switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\b' => "\\b",
                '\f' => "\\f",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' => $"\\u{(int)unit:x4}",
                _ when char.IsSurrogate(unit) => $"\\u{(int)unit:x4}",
                _ => unit.ToString(),
            });
        }

        return quoted.Append('"').ToString();
    }
}
