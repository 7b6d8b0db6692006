using System.Text;
using System.Text.Json;
using KvStore.Json;

namespace KvStore.Dashboard.Markup;

/// <summary>JSON, indented and coloured. Numbers and texts stand as they are stored, digit for digit and escape for escape.</summary>
internal static class JsonMarkup
{
    // Indented no further than this: a short value that is nested a thousand times must not make a long page.
    private const int IndentedDepthMax = 24;

    /// <summary>The markup, or null when this is not exactly one JSON value.</summary>
    public static Html? Of(ReadOnlySpan<byte> utf8)
    {
        var parts = new List<Html>();
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
        var isFirst = true;
        var isAfterName = false;
        try
        {
            while (reader.Read())
            {
                var closes = reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray;
                if (!isAfterName && !(closes && isFirst))
                {
                    parts.Add(Break(reader.CurrentDepth, hasComma: !isFirst && !closes, isStart: parts.Count == 0));
                }

                isAfterName = reader.TokenType == JsonTokenType.PropertyName;
                isFirst = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray;
                parts.Add(Token(in reader));
            }
        }
        catch (JsonException)
        {
            return null;
        }

        return parts.Count == 0 ? null : Html.Concat(parts);
    }

    private static Html Token(in Utf8JsonReader reader)
    {
        var text = Encoding.UTF8.GetString(reader.ValueSpan);
        return reader.TokenType switch
        {
            JsonTokenType.StartObject => Html.Text("{"),
            JsonTokenType.EndObject => Html.Text("}"),
            JsonTokenType.StartArray => Html.Text("["),
            JsonTokenType.EndArray => Html.Text("]"),
            JsonTokenType.PropertyName => Html.Of($"""<span class="j-name">"{VisibleText.OfLines(text)}"</span>: """),
            JsonTokenType.String => Html.Of($"""<span class="j-text">"{VisibleText.OfLines(text)}"</span>"""),
            JsonTokenType.Number => Html.Of($"""<span class="j-number">{text}</span>"""),
            _ => Html.Of($"""<span class="j-word">{text}</span>"""),
        };
    }

    private static Html Break(int depth, bool hasComma, bool isStart) => isStart
        ? default
        : Html.Text((hasComma ? ",\n" : "\n") + new string(' ', 2 * Math.Min(depth, IndentedDepthMax)));
}
