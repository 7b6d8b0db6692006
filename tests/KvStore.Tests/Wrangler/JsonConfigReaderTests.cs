using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Wrangler;

namespace KvStore.Tests.Wrangler;

/// <summary>The reader of JSON with comments, held against System.Text.Json.</summary>
public sealed partial class JsonConfigReaderTests
{
    // Pieces of JSON and what nearly is, so that most sequences are nearly JSON.
    private static readonly string[] s_pieces =
    [
        "{", "}", "[", "]", ":", ",", "\"a\"", "\"kv_namespaces\"", "\"\\u00e9\\n\\/\"", "\"\\x\"", "\"\\u12\"", "\"é😀\"", "\"\n\"", "\"\u0001\"", "\"open",
        "true", "false", "null", "truex", "nul", "0", "01", "-0", "-", "1.5", "1.", "1e5", "1E+5", "1e-5", "1e", "-1.25e-3", "+1", ".5", "NaN",
        "// comment\n", "// \u2028\n", "// é\r", "/* comment */", "/* open", "/", "/**/", "/*/", "//", " ", "\t", "\n", "\r\n", "\u00a0", "\f", "\0", "'a'", "#",
        "{\"a\":1}", "[1,2]", "{\"a\":[{}],}", "[[],]", "\"a\":", "\"b\":[", "\"a\":{",
    ];

    [Fact]
    public void Sequences_of_pieces_are_accepted_as_System_Text_Json_accepts_them()
    {
        var texts = Gen.Elements(s_pieces).ListOf().Select(pieces => string.Concat(pieces.Take(14)));

        Prop.ForAll(texts.ToArbitrary(), IsReadAlike).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000).WithEndSize(14));
    }

    [Fact]
    public void Texts_of_JSON_with_one_change_are_accepted_as_System_Text_Json_accepts_them()
    {
        const string Json = """
            { // first
              "name": "site", "n": [-1.5e+3, 0, true, null, { "x": {} }],
              "kv_namespaces": [ { "binding": "A\u0041\"", "id": "1", }, /* two */ { "binding": "B" }, ],
            }
            """;
        var changes =
            from at in Gen.Choose(0, Json.Length - 1)
            from removed in Gen.Choose(0, 3)
            from piece in Gen.Elements([.. s_pieces, ""])
            select Json[..at] + piece + Json[Math.Min(at + removed, Json.Length)..];

        Prop.ForAll(changes.ToArbitrary(), IsReadAlike).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    [Theory]
    [InlineData(JsonConfigReader.DepthMax, true)]
    [InlineData(JsonConfigReader.DepthMax + 1, false)]
    [InlineData(1_000_000, false)]
    public void Depth_is_bounded(int depth, bool isAccepted)
    {
        var act = () => Read(new string('[', depth) + "1" + new string(']', depth));

        if (isAccepted)
        {
            act.Should().NotThrow();
        }
        else
        {
            act.Should().Throw<ConfigSyntaxException>().WithMessage("not JSON: values may be nested 500 deep");
        }
    }

    [Theory]
    [InlineData("\r\n\r\n x", 3, 2)]
    [InlineData("\r\r x", 3, 2)]
    [InlineData("{\n\"\u2028\": x", 2, 6)]
    [InlineData("{\n  \"a\": \"😀\", x }", 2, 14)]
    public void Positions_are_lines_and_columns_of_an_editor(string text, int line, int column)
    {
        var act = () => Read(text);

        act.Should().Throw<ConfigSyntaxException>().Where(e => e.Position.Line == line && e.Position.Column == column);
    }

    private static ConfigNode Read(string text) => JsonConfigReader.Read(text, new FileLines(text));

    private static bool IsReadAlike(string text)
    {
        var options = new JsonDocumentOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip, MaxDepth = 1000 };
        JsonDocument? expected = null;
        try
        {
            // System.Text.Json knows no comment between a name and its colon, and no U+2028 in one.
            var bare = Comment().Replace(text, static match => match.Groups["text"] is { Success: true } kept ? kept.Value : " ");
            expected = JsonDocument.Parse(Encoding.UTF8.GetBytes(bare), options);
        }
        catch (JsonException)
        {
            // Both must refuse it.
        }

        ConfigNode? node = null;
        try
        {
            node = Read(text);
        }
        catch (ConfigSyntaxException)
        {
            // The same.
        }

        using (expected)
        {
            return (expected, node) switch
            {
                (null, null) => true,
                ({ } document, { } read) => IsAlike(document.RootElement, read),
                _ => false,
            };
        }
    }

    private static bool IsAlike(JsonElement expected, ConfigNode node) => expected.ValueKind switch
    {
        JsonValueKind.Object => node.Kind == ConfigKind.Object
            && expected.EnumerateObject().Select(p => p.Name).Distinct().SequenceEqual(node.Names)
            && node.Names.All(name => IsAlike(expected.GetProperty(name), node.Find(name)!)),
        JsonValueKind.Array => node.Kind == ConfigKind.Array
            && expected.GetArrayLength() == node.Items.Count
            && expected.EnumerateArray().Zip(node.Items).All(pair => IsAlike(pair.First, pair.Second)),
        JsonValueKind.String => node.Kind == ConfigKind.Text && node.Text == expected.GetString(),
        JsonValueKind.True or JsonValueKind.False => node.Kind == ConfigKind.Boolean,
        JsonValueKind.Null => node.Kind == ConfigKind.Null,
        _ => node.Kind == ConfigKind.Other,
    };

    [GeneratedRegex("""(?<text>"(?:[^"\\\r\n]|\\.)*")|//[^\r\n]*|/\*[\s\S]*?\*/""")]
    private static partial Regex Comment();
}
