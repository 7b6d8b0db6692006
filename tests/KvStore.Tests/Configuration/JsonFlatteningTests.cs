using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;

namespace KvStore.Tests.Configuration;

/// <summary>Flattening of JSON, compared with the framework's provider for JSON files.</summary>
public sealed class JsonFlatteningTests
{
    private static readonly string[] s_names = ["a", "A", "b", "a:b", "", ":", "ä", "0", "1", "\\u0041", "long name"];

    private static readonly string[] s_scalars =
        ["null", "true", "false", "0", "-0", "1e5", "1.50", "12345678901234567890123", "\"\"", "\"x\"", "\"\\u00e4\\n\"", "\"{}\"", "\"\\ud83d\\ude00\""];

    [Fact]
    public void Flattening_makes_the_keys_and_values_of_the_framework() =>
        Prop.ForAll(Values().ToArbitrary(), static json => Ours("K", json).Should().BeEquivalentTo(Theirs("K", json), json))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(2000).WithEndSize(60));

    [Fact]
    public void Flattening_at_the_root_makes_the_keys_and_values_of_the_framework() =>
        Prop.ForAll(Sized(3, Objects).ToArbitrary(), static json => Ours("", json).Should().BeEquivalentTo(Theirs(null, json), json))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(1000).WithEndSize(60));

    [Theory]
    [InlineData("{ }")]
    [InlineData("[ ]")]
    [InlineData("""{ "a": {}, "A": {}, "b": [] }""")]
    [InlineData("""{ "a": 1, "a": {} }""")]
    [InlineData("""{ "a": {}, "a": 1 }""")]
    [InlineData("""{ "a": { "x": 1 }, "A": { "y": 2 } }""")]
    [InlineData("""{ /* comment */ "a": [ 1, 2, ], }""")]
    [InlineData("""{ "a": 1, "a": 1 }""")]
    [InlineData("""{ "a": """)]
    [InlineData("{ \"a\": \"\\ud800\" }")]
    public void Special_cases_are_those_of_the_framework(string json) =>
        Ours("K", json).Should().BeEquivalentTo(Theirs("K", json));

    private static Gen<string> Values() => Sized(4, depth => Gen.OneOf(Objects(depth), Arrays(depth)));

    private static Gen<string> Sized(int depth, Func<int, Gen<string>> values) => Gen.Choose(0, depth).SelectMany(values);

    private static Gen<string> Any(int depth) => depth <= 0
        ? Gen.Elements(s_scalars)
        : Gen.Frequency((3, Gen.Elements(s_scalars)), (2, Objects(depth - 1)), (1, Arrays(depth - 1)));

    private static Gen<string> Objects(int depth) =>
        Gen.Choose(0, 4).SelectMany(count => Gen.Elements(s_names).Zip(Any(depth)).ArrayOf(count))
            .Zip(Gen.Elements("", " ", ",", "/**/"))
            .Select(static made => $"{{{string.Join(",", made.Item1.Select(static pair => $"\"{pair.Item1}\" : {pair.Item2}"))}{(made.Item1.Length == 0 ? made.Item2.Trim(',') : made.Item2)}}}");

    private static Gen<string> Arrays(int depth) =>
        Gen.Choose(0, 4).SelectMany(count => Any(depth).ArrayOf(count)).Select(static items => $"[{string.Join(", ", items)}]");

    // Null where the JSON is refused.
    private static Dictionary<string, string?>? Ours(string path, string json)
    {
        var problem = ConfigurationEntry.Read(path, Encoding.UTF8.GetBytes(json), flattenJson: true, out var values);
        return problem is null ? values.ToDictionary() : null;
    }

    private static Dictionary<string, string?>? Theirs(string? path, string json)
    {
        var provider = new ReadableProvider();
        try
        {
            provider.Load(new MemoryStream(Encoding.UTF8.GetBytes(path is null ? json : string.Create(CultureInfo.InvariantCulture, $"{{\"{path}\":{json}}}"))));
            return provider.Values;
        }
        catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private sealed class ReadableProvider() : JsonConfigurationProvider(new JsonConfigurationSource { Optional = true })
    {
        public Dictionary<string, string?> Values => Data.ToDictionary();
    }
}
