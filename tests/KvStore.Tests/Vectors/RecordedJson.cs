using System.Text;
using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>
/// JSON as the recordings write it (strings may be <c>$repeat</c> and the like, numbers <c>$number</c>), written out as
/// JSON text and compared with JSON that was read.
/// </summary>
internal static class RecordedJson
{
    /// <summary>
    /// The JSON text of a recorded value, with white space and with every character escaped that may be: the longest way to
    /// write it, so that only what is stored can have been made compact.
    /// </summary>
    public static string WriteLoosely(JsonElement recorded) => recorded.ValueKind switch
    {
        JsonValueKind.String => Quote(recorded.GetString()!),
        JsonValueKind.Array => "[ " + string.Join(" , ", recorded.EnumerateArray().Select(WriteLoosely)) + " ]",
        JsonValueKind.Object when Literal.IsForm(recorded) => Quote(Literal.Text(recorded)),
        JsonValueKind.Object => "{ "
            + string.Join(" , ", recorded.EnumerateObject().Select(p => $"{Quote(p.Name)} :\n{WriteLoosely(p.Value)}")) + " }",
        _ => recorded.GetRawText(),
    };

    /// <summary>Whether JSON that was read is the recorded value. The order of properties doesn't matter; -0 is not 0.</summary>
    public static bool Matches(JsonElement recorded, JsonElement read)
    {
        if (Literal.IsForm(recorded))
        {
            var (form, argument) = Literal.Form(recorded);
            return form == "$number"
                ? read.ValueKind == JsonValueKind.Number && read.GetDouble().Equals(NumberNamed(argument.GetString()!))
                    && double.IsNegative(read.GetDouble()) == argument.GetString()!.StartsWith('-')
                : read.ValueKind == JsonValueKind.String && Unquote(read) == Literal.Text(recorded);
        }

        if (recorded.ValueKind != read.ValueKind)
        {
            return false;
        }

        return recorded.ValueKind switch
        {
            JsonValueKind.String => Unquote(recorded) == Unquote(read),
            JsonValueKind.Number => recorded.GetDouble().Equals(read.GetDouble())
                && double.IsNegative(recorded.GetDouble()) == double.IsNegative(read.GetDouble()),
            JsonValueKind.Array => recorded.GetArrayLength() == read.GetArrayLength()
                && recorded.EnumerateArray().Zip(read.EnumerateArray()).All(pair => Matches(pair.First, pair.Second)),
            JsonValueKind.Object => recorded.EnumerateObject().Count() == read.EnumerateObject().Count()
                && recorded.EnumerateObject().All(p => read.TryGetProperty(p.Name, out var value) && Matches(p.Value, value)),
            _ => true,
        };
    }

    private static double NumberNamed(string name) => name switch
    {
        "-0" => -0.0,
        "Infinity" => double.PositiveInfinity,
        "-Infinity" => double.NegativeInfinity,
        _ => throw new InvalidDataException($"{name} is not a number that the recordings know."),
    };

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var unit in text)
        {
            quoted.Append("\\u").Append(((int)unit).ToString("x4", null));
        }

        return quoted.Append('"').ToString();
    }

    // As JsonElement.GetString, but for unpaired surrogates, which it refuses.
    private static string Unquote(JsonElement quoted)
    {
        var raw = quoted.GetRawText().AsSpan()[1..^1];
        var text = new StringBuilder(raw.Length);
        while (raw.IndexOf('\\') is var at && at >= 0)
        {
            text.Append(raw[..at]);
            if (raw[at + 1] == 'u')
            {
                text.Append((char)Convert.ToUInt16(raw.Slice(at + 2, 4).ToString(), 16));
                raw = raw[(at + 6)..];
            }
            else
            {
                text.Append(raw[at + 1] switch { 'b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r', 't' => '\t', var c => c });
                raw = raw[(at + 2)..];
            }
        }

        return text.Append(raw).ToString();
    }
}
