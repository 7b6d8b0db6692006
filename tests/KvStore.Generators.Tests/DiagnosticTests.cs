using System.Text;
using System.Text.RegularExpressions;

namespace KvStore.Generators.Tests;

/// <summary>Each diagnostic, with its place in the file that it belongs to.</summary>
public sealed class DiagnosticTests
{
    [Theory]
    [InlineData("wrangler.jsonc", "{\n  \"kv_namespaces\": [\n", "wrangler.jsonc(3,1): KV0001: not JSON: a value is expected")]
    [InlineData("wrangler.json", "{ \"kv_namespaces\": { } }", "wrangler.json(1,20): KV0001: \"kv_namespaces\" must be an array of objects")]
    [InlineData("wrangler.toml", "[vars]\ns3cret = oh no\n", "wrangler.toml(2,10): KV0001: not TOML: a key, a table or a value cannot be read, or is given twice")]
    [InlineData("wrangler.toml", "[[kv_namespaces]]\nid = \"1\"", "wrangler.toml(1,3): KV0002: an entry of \"kv_namespaces\" has no \"binding\"")]
    [InlineData("wrangler.json", "{ \"kv_namespaces\": [{ \"binding\": \" \" }] }", "wrangler.json(1,34): KV0002: \"binding\" is empty")]
    [InlineData("wrangler.json", "{ \"kv_namespaces\": [{ \"binding\": \"A\" },\n{ \"binding\": \"A\" }] }", "wrangler.json(2,14): KV0003: \"A\" is bound twice; each name can be bound once")]
    [InlineData("wrangler.json", "{ \"env\": { \"x\": { \"kv_namespaces\": [{ \"binding\": \"A\" }, { \"binding\": \"A\" }] } } }", "wrangler.json(1,70): KV0003: \"A\" is bound twice; each name can be bound once")]
    [InlineData(
        "wrangler.json",
        "{ \"kv_namespaces\": [{ \"binding\": \"A\" }],\n\"env\": { \"x\": { \"kv_namespaces\": [{ \"binding\": \"B\" }] } } }",
        "wrangler.json(1,1): KV0004: the top level does not bind B: environments do not inherit kv_namespaces, and what is not bound cannot be used there",
        "wrangler.json(2,15): KV0004: the environment \"x\" does not bind A: environments do not inherit kv_namespaces, and what is not bound cannot be used there")]
    [InlineData("wrangler.json", "{ \"env\": { \"x\": { \"kv_namespaces\": [{ \"binding\": \"A\" }] }, \"y\": { \"kv_namespaces\": [{ \"binding\": \"A\" }] } } }")]
    [InlineData("other.json", "{")]
    public void Error_in_a_file_is_reported_in_the_file(string name, string content, params string[] expected)
    {
        var result = Drive.Run("", new Drive.File(name, content));

        result.Diagnostics.Select(Drive.Show).Should().BeEquivalentTo(expected);
        result.Results.Single().Exception.Should().BeNull();
    }

    [Fact]
    public void File_in_UTF16_is_reported()
    {
        var result = Drive.Run("", new Drive.File("wrangler.json", "{}", Encoding.Unicode));

        result.Diagnostics.Select(Drive.Show).Should().Equal("wrangler.json(1,1): KV0001: the file must be UTF-8");
    }

    [Fact]
    public void Second_file_is_reported_in_the_order_of_wrangler()
    {
        var result = Drive.Run(
            "",
            new Drive.File("wrangler.toml", "[[kv_namespaces]]\nbinding = \"T\""),
            new Drive.File("wrangler.jsonc", """{ "kv_namespaces": [{ "binding": "J" }] }"""));

        result.Diagnostics.Select(Drive.Show).Should().Equal("wrangler.toml(1,1): KV0005: wrangler.jsonc is read, as wrangler does; this file is not");
        result.GeneratedTrees.Select(tree => tree.ToString()).Should().Contain(code => code.Contains("IKvNamespace J =>")).And.NotContain(code => code.Contains("IKvNamespace T =>"));
    }

    [Fact]
    public void Namespace_that_is_not_bound_is_reported_at_its_name()
    {
        const string Source = """
            using KvStore;
            [KvNamespace("FLAG")]
            public partial interface ITyped { [KvKey("k")] KvTypedEntry<string, KvMetadata> Entry(); }
            """;

        Drive.Run(Source, new Drive.File("wrangler.json", """{ "kv_namespaces": [{ "binding": "FLAGS" }, { "binding": "CACHE" }] }"""))
            .Diagnostics.Select(Drive.Show).Should().Equal("File0.cs(2,14): KV0006: \"FLAG\" is not bound in wrangler.json; bound are: FLAGS, CACHE");
        Drive.Run(Source).Diagnostics.Should().BeEmpty("without a file the application decides");
    }

    [Fact]
    public void Name_that_is_a_generated_constant_is_reported()
    {
        const string Source = """
            using KvStore;
            [KvNamespace(KvBindings.Names.A)]
            public partial interface ITyped { [KvKey("k")] KvTypedEntry<string, KvMetadata> Entry(); }
            """;

        Drive.Run(Source, new Drive.File("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }] }"""))
            .Diagnostics.Select(Drive.Show).Should().ContainSingle().Which.Should().StartWith("File0.cs(2,14): KV0020: Write the name of the namespace as a literal");
    }

    [Theory]
    [InlineData("public interface ITyped { }", "(4,18): KV0007: ITyped must be a partial interface without type parameters, *")]
    [InlineData("public partial interface ITyped<T> { }", "(4,26): KV0007: *")]
    [InlineData("class Outer { [KvNamespace(\"A\")] public partial interface ITyped { } } interface IUnused { }", "(4,59): KV0007: *")]
    public void Interface_that_cannot_be_extended_is_reported(string declaration, string expected)
    {
        var source = $"using KvStore;\n\n{(declaration.StartsWith("class", StringComparison.Ordinal) ? "" : "[KvNamespace(\"A\")]")}\n{declaration}";

        Show(source).Should().ContainSingle().Which.Should().Match("File0.cs" + expected);
    }

    [Theory]
    [InlineData("", "KV0008: The template is wrong at character 1: it is empty")]
    [InlineData("a{", "KV0008: The template is wrong at character 2: '{' must begin the name of a parameter*")]
    [InlineData("a{}", "KV0008: The template is wrong at character 2: '{' must begin*")]
    [InlineData("a{b c}", "KV0008: The template is wrong at character 2: '{' must begin*")]
    [InlineData("a}", "KV0008: The template is wrong at character 2: '}' closes nothing*")]
    [InlineData("{s}:{s}", "KV0008: The template is wrong at character 5: a placeholder stands in a template once")]
    [InlineData("..", "KV0008: The template is wrong at character 1: '.' and '..' cannot be keys")]
    [InlineData("k:{s}:{t}", "KV0009: The placeholder {t} has no parameter of that name; the parameters are: s")]
    [InlineData("k", "KV0010: The parameter s has no placeholder*")]
    [InlineData("{s}k", "KV0011: The text behind {s} must begin with punctuation*")]
    [InlineData("{s}%", "KV0011: *")]
    [InlineData("{s}1", "KV0011: *")]
    public void Wrong_template_is_reported(string template, string expected)
    {
        Show(Method($"[KvKey(\"{template}\")] KvTypedEntry<string, KvMetadata> Entry(string s);"))
            .Should().ContainSingle(line => Regex.IsMatch(line, "^File0.cs\\(\\d+,\\d+\\): " + Regex.Escape(expected).Replace("\\*", ".*") + "$"));
    }

    [Theory]
    [InlineData("[KvKey(\"{a}{b}\")] KvTypedEntry<string, KvMetadata> M(string a, int b);", "(6,12): KV0011: The text behind {a} must begin with punctuation*")]
    [InlineData("[KvKey(\"k\", TtlSeconds = 59)] KvTypedEntry<string, KvMetadata> M();", "(6,6): KV0013: TtlSeconds is 59; it must be at least 60")]
    [InlineData("[KvKey(\"k\", TtlSeconds = -1)] KvTypedEntry<string, KvMetadata> M();", "(6,6): KV0013: TtlSeconds is -1; it must be at least 60")]
    [InlineData("[KvKey(\"{a}\")] KvTypedEntry<string, KvMetadata> M(double a);", "(6,62): KV0014: The parameter a is of type double; allowed are*")]
    [InlineData("[KvKey(\"{a}\")] KvTypedEntry<string, KvMetadata> M(int? a);", "(6,60): KV0014: The parameter a is of type int?; *")]
    [InlineData("[KvKey(\"{a}\")] KvTypedEntry<string, KvMetadata> M(in int a);", "(6,62): KV0014: *")]
    [InlineData("KvTypedEntry<string, KvMetadata> M();", "(6,38): KV0015: M must be *; it has no [KvKey]")]
    [InlineData("[KvKey(\"a:{Keys}\")] KvTypedEntry<string, KvMetadata> A(string Keys);", "*: KV0021: The generated code of * uses the name Keys; choose another one")]
    [InlineData("[KvKey(\"a:{_kv}\")] KvTypedEntry<string, KvMetadata> A(string _kv);", "*: KV0021: *")]
    [InlineData("[KvKey(\"a\")] KvTypedEntry<string, KvMetadata> Keys();", "*: KV0021: *")]
    [InlineData("[KvKey(\"a:{k}\")] KvTypedEntry<string, KvMetadata> X(string k); [KvKey(\"b:{k}\")] KvTypedEntry<string, KvMetadata> XKey(string k);", "*: KV0021: The generated code of * uses the name XKey; *")]
    [InlineData("int M();", "(6,9): KV0015: M must be *")]
    [InlineData("int P { get; }", "(6,9): KV0015: P must be *")]
    [InlineData("event System.Action E;", "(6,25): KV0015: E must be *")]
    [InlineData("KvTypedEntries<string, KvMetadata> M();", "(6,40): KV0016: M lists *: there are 0 such methods*")]
    [InlineData(
        "[KvKey(\"a:{x}\")] KvTypedEntry<string, KvMetadata> A(int x); [KvKey(\"b:{x}\")] KvTypedEntry<string, KvMetadata> B(int x); KvTypedEntries<string, KvMetadata> M();",
        "(6,160): KV0016: M lists *: there are 2 such methods; give it the [KvKey] of the one that it lists")]
    [InlineData("[KvKey(\"k\")] KvTypedEntry<int[], KvMetadata> M();", "(6,50): KV0017: int[] cannot be stored as a value: [KvNamespace] names no JsonContext*")]
    [InlineData("[KvKey(\"k\")] KvTypedEntry<KvMetadata, KvMetadata> M();", "(6,55): KV0017: KvMetadata cannot be stored as a value: *")]
    [InlineData("[KvKey(\"k\")] KvTypedEntry<string, System.ReadOnlyMemory<byte>> M();", "(6,68): KV0017: ReadOnlyMemory<byte> cannot be stored as metadata: metadata is JSON")]
    [InlineData(
        "[KvKey(\"a:{x}\")] KvTypedEntry<string, KvMetadata> A(string x); [KvKey(\"a:b\")] KvTypedEntry<string, KvMetadata> B();",
        "(6,116): KV0019: \"a:b\" and \"a:{x}\" can make the same key; let them begin with different text")]
    public void Wrong_method_is_reported(string method, string expected)
    {
        Show(Method(method)).Should().ContainSingle().Which.Should().Match("File0.cs" + expected);
    }

    [Theory]
    [InlineData("[KvKey(\"a:{x}\")] KvTypedEntry<string, KvMetadata> A(int x); [KvKey(\"a:b\")] KvTypedEntry<string, KvMetadata> B();")]
    [InlineData("[KvKey(\"a:{x}\")] KvTypedEntry<string, KvMetadata> A(string x); [KvKey(\"a:{x}:{y}\")] KvTypedEntry<string, KvMetadata> B(string x, string y);")]
    [InlineData("[KvKey(\"a:{x}\")] KvTypedEntry<string, KvMetadata> A(string x); [KvKey(\"b:{x}\")] KvTypedEntry<string, KvMetadata> B(string x); [KvKey(\"b:{x}\")] KvTypedEntries<string, KvMetadata> C();")]
    [InlineData("[KvKey(\"{x}\", TtlSeconds = 60)] KvTypedEntry<string, KvMetadata> A(string x);")]
    [InlineData("static int Helper() => 1; [KvKey(\"{x}\")] KvTypedEntry<string, KvMetadata> A(string x);")]
    public void Right_methods_have_no_diagnostics(string methods) => Show(Method(methods)).Should().BeEmpty();

    [Fact]
    public void Length_is_checked_as_far_as_it_is_known()
    {
        var text = new string('k', 500);

        Show(Method($"[KvKey(\"{text}{{g}}\")] KvTypedEntry<string, KvMetadata> M(System.Guid g);"))
            .Should().Equal("File0.cs(6,12): KV0012: Keys of this template can have 536 bytes; a key may have 512 bytes of UTF-8");
        Show(Method($"[KvKey(\"{new string('é', 257)}\")] KvTypedEntry<string, KvMetadata> M();"))
            .Should().Equal("File0.cs(6,12): KV0012: The text of the template alone has 514 bytes; a key may have 512 bytes of UTF-8");
        Show(Method($"[KvKey(\"{text}{text[..12]}{{s}}\")] KvTypedEntry<string, KvMetadata> M(string s);"))
            .Should().Equal("File0.cs(6,12): KV0012: Keys of this template can have 512 bytes, which leaves no space for its strings; a key may have 512 bytes of UTF-8");
        Show(Method($"[KvKey(\"{text}{{n}}\")] KvTypedEntry<string, KvMetadata> M(int n);")).Should().BeEmpty();
        Show(Method($"[KvKey(\"-{text[..499]}{{n}}\")] KvTypedEntry<string, KvMetadata> M(int n);"))
            .Should().Equal("File0.cs(6,12): KV0012: Keys of this template can have 533 bytes; a key may have 512 bytes of UTF-8");
        Show(Method($"[KvKey(\"{text}{{g}}\", TtlSeconds = 5)] KvTypedEntry<string, KvMetadata> M(System.Guid g);", ", KeyBytesMax = 1000, TtlSecondsMin = 5")).Should().BeEmpty();
    }

    [Fact]
    public void Type_that_the_context_does_not_list_is_reported()
    {
        const string Source = """
            using KvStore;
            public record Listed(int N);
            public record Other(int N);
            [System.Text.Json.Serialization.JsonSerializable(typeof(Listed))]
            public abstract class Json(System.Text.Json.JsonSerializerOptions? o) : System.Text.Json.Serialization.JsonSerializerContext(o);
            [KvNamespace("A", JsonContext = typeof(Json))]
            public partial interface ITyped
            {
                [KvKey("k:{x}")]
                KvTypedEntry<Other, Listed?> M(int x);
            }
            """;

        Show(Source).Should().Equal("File0.cs(10,34): KV0018: Json does not list Other; add [JsonSerializable(typeof(Other))] to it");
    }

    [Fact]
    public void Every_diagnostic_stands_in_the_documentation_and_in_a_test()
    {
        var docs = File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "bindings.md"));
        var tests = File.ReadAllText(Path.Combine(SourceTree.Root, "tests", "KvStore.Generators.Tests", "DiagnosticTests.cs"));
        var rules = typeof(KvBindingsGenerator).Assembly.GetType("KvStore.Generators.KvRules")!
            .GetFields().Select(field => ((Microsoft.CodeAnalysis.DiagnosticDescriptor)field.GetValue(null)!).Id).ToList();

        rules.Should().HaveCount(21).And.OnlyHaveUniqueItems();
        rules.Where(id => !docs.Contains($"### {id}", StringComparison.Ordinal)).Should().BeEmpty();
        rules.Where(id => !tests.Contains($"{id}: ", StringComparison.Ordinal)).Should().BeEmpty();
    }

    private static List<string> Show(string source) => [.. Drive.Run(source).Diagnostics.Select(Drive.Show)];

    private static string Method(string method, string settings = "") =>
        $"using KvStore;\n\n[KvNamespace(\"A\"{settings})]\npublic partial interface ITyped\n{{\n    {method}\n}}\n";
}
