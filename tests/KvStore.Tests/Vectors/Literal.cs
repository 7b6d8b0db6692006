using System.Globalization;
using System.Text;
using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>Reads the short forms in which the recordings write long or unusual text and bytes.</summary>
internal static class Literal
{
    /// <summary>A string: itself, or <c>$repeat</c>, <c>$utf16</c>, <c>$concat</c>.</summary>
    public static string Text(JsonElement json)
    {
        if (json.ValueKind == JsonValueKind.String)
        {
            return json.GetString()!;
        }

        var (form, argument) = Form(json);
        return form switch
        {
            "$repeat" => Repeat(Text(argument[0]), argument[1].GetInt32()),
            "$utf16" => new string([.. argument.EnumerateArray().Select(unit => (char)unit.GetUInt16())]),
            "$concat" => string.Concat(argument.EnumerateArray().Select(Text)),
            _ => throw new InvalidDataException($"{json} is not a string."),
        };
    }

    /// <summary>A string, or null where it is absent or null.</summary>
    public static string? TextOrNull(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var json) && json.ValueKind != JsonValueKind.Null ? Text(json) : null;

    /// <summary>Bytes: <c>$b64</c>, <c>$fill</c> or <c>$utf8</c>.</summary>
    public static byte[] Bytes(JsonElement json)
    {
        var (form, argument) = Form(json);
        switch (form)
        {
            case "$b64":
                return Convert.FromBase64String(argument.GetString()!);
            case "$utf8":
                return Encoding.UTF8.GetBytes(Text(argument));
            case "$fill":
                var bytes = new byte[argument[1].GetInt32()];
                bytes.AsSpan().Fill(argument[0].GetByte());
                return bytes;
            default:
                throw new InvalidDataException($"{json} is not bytes.");
        }
    }

    /// <summary>Keys: a list, or <c>$range</c> (prefix, from, to exclusive, zero-padded to).</summary>
    public static string[] Keys(JsonElement json)
    {
        if (json.ValueKind == JsonValueKind.Array)
        {
            return [.. json.EnumerateArray().Select(Text)];
        }

        var range = Form(json).Argument;
        var from = range[1].GetInt32();
        var digits = range.GetArrayLength() > 3 ? range[3].GetInt32() : 1;
        return
        [
            .. Enumerable.Range(from, range[2].GetInt32() - from)
                .Select(i => Text(range[0]) + i.ToString("D" + digits, CultureInfo.InvariantCulture)),
        ];
    }

    /// <summary>Whether this is an object with one property that begins with a dollar sign.</summary>
    public static bool IsForm(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object && json.EnumerateObject().Count() == 1
        && json.EnumerateObject().Single().Name.StartsWith('$');

    /// <summary>The form's name and argument.</summary>
    public static (string Name, JsonElement Argument) Form(JsonElement json)
    {
        if (!IsForm(json))
        {
            throw new InvalidDataException($"{json} is not a literal that the recordings know.");
        }

        var form = json.EnumerateObject().Single();
        return (form.Name, form.Value);
    }

    private static string Repeat(string text, int count) => text.Length == 1
        ? new string(text[0], count)
        : new StringBuilder(text.Length * count).Insert(0, text, count).ToString();
}
