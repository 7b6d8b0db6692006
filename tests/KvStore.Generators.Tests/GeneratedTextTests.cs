using Microsoft.CodeAnalysis;

namespace KvStore.Generators.Tests;

/// <summary>
/// The generated text stands in files, so that a change of it is a line in the diff. To accept a change, run the tests with
/// KVSTORE_ACCEPT_GENERATED=1 and look at what the files say then.
/// </summary>
public sealed class GeneratedTextTests
{
    private static readonly string s_project = Path.Combine(SourceTree.Root, "tests", "KvStore.Generators.Tests");

    private const string OddSource = """
        namespace My.Sites;

        internal partial class @event
        {
            public partial record struct Inner
            {
                [KvStore.KvNamespace("class")]
                internal partial interface @interface
                {
                    [KvStore.KvKey("{{\"{key}:{parts}é{parameter}/}}")]
                    KvStore.KvTypedEntry<string, string?> @default(string key, string parts, System.DayOfWeek parameter);

                    KvStore.KvTypedEntries<string, string> All();
                }
            }
        }
        """;

    private static readonly Drive.File s_oddFile = new("wrangler.toml", """
        # Names that wrangler takes.
        kv_namespaces = [
          { binding = "class", id = "a<b>&\"\\" },
          { binding = "my-kv" }, { binding = "my_kv" }, { binding = "1st" }, { binding = "Names" }, { binding = "KvBindings" },
          { binding = "ToString" }, { binding = "é😀\"" },
        ]
        """);

    [Fact]
    public void Generated_text_of_this_project_is_the_one_on_file() => Check("Project", Sources(), new Drive.File("wrangler.jsonc", ReadProject("wrangler.jsonc")));

    [Fact]
    public void Generated_text_for_names_that_are_no_identifiers_is_the_one_on_file() => Check(
        "Names",
        [OddSource],
        s_oddFile);

    [Fact]
    public void Generated_code_compiles_without_a_warning()
    {
        // The JSON context is made by another generator, which does not run here.
        const string Context = """
            namespace KvStore.Generators.Tests;
            internal sealed partial class TestJson : System.Text.Json.Serialization.JsonSerializerContext
            {
                public TestJson() : base(null) { }
                public static TestJson Default { get; } = new();
                protected override System.Text.Json.JsonSerializerOptions? GeneratedSerializerOptions => null;
                public override System.Text.Json.Serialization.Metadata.JsonTypeInfo? GetTypeInfo(System.Type type) => null;
            }
            """;

        ShouldCompile([.. Sources(), Context], new Drive.File("wrangler.jsonc", ReadProject("wrangler.jsonc")));
        ShouldCompile([OddSource], s_oddFile);
    }

    [Theory]
    [InlineData("get_FLAGS", "FLAGS")]
    [InlineData("FLAGS", "get_FLAGS")]
    [InlineData("a\\u200db", "ab")]
    public void Bindings_whose_identifiers_would_collide_compile(string one, string other) =>
        ShouldCompile([""], new Drive.File("wrangler.json", $$"""{ "kv_namespaces": [{ "binding": "{{one}}" }, { "binding": "{{other}}" }] }"""));

    [Theory]
    [InlineData("KvBindingsName", "Stores", "class Stores(")]
    [InlineData("KvBindingsName", "a-b", "class a_b(")]
    [InlineData("KvBindingsNamespace", "Some.Place", "namespace Some.Place;")]
    [InlineData("RootNamespace", "my-site.1.class", "namespace my_site._1.@class;")]
    [InlineData("KvBindingsAccessibility", "internal", "internal sealed partial class KvBindings(")]
    [InlineData("KvBindingsAccessibility", "", "public sealed partial class KvBindings(")]
    public void Property_of_the_project_sets_the_class(string property, string value, string text)
    {
        var result = Drive.Create([new Drive.File("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }] }""")], (property, value))
            .RunGenerators(Drive.Compile("")).GetRunResult();

        result.GeneratedTrees.Select(tree => tree.ToString()).Should().Contain(code => code.Contains(text));
    }

    private static void ShouldCompile(string[] sources, Drive.File file)
    {
        Drive.Create([file], ("RootNamespace", "my-site.Web"))
            .RunGeneratorsAndUpdateCompilation(Drive.Compile(sources), out var compilation, out var diagnostics);

        diagnostics.Select(Drive.Show).Should().BeEmpty();
        compilation.GetDiagnostics()
            .Where(d => d.Severity == DiagnosticSeverity.Error || (d.Severity == DiagnosticSeverity.Warning && !d.Location.GetLineSpan().Path.StartsWith("/src/", StringComparison.Ordinal)))
            .Select(Drive.Show).Should().BeEmpty();
    }

    private static void Check(string name, string[] sources, Drive.File file)
    {
        var result = Drive.Create([file], ("RootNamespace", "KvStore.Generators.Tests")).RunGenerators(Drive.Compile(sources)).GetRunResult();
        result.Diagnostics.Select(Drive.Show).Should().BeEmpty();
        foreach (var source in result.Results.Single().GeneratedSources)
        {
            var path = Path.Combine(s_project, "Expected", name, source.HintName + ".txt");
            var text = source.SourceText.ToString();
            if (Environment.GetEnvironmentVariable("KVSTORE_ACCEPT_GENERATED") == "1")
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                File.WriteAllText(path, text);
            }

            File.Exists(path).Should().BeTrue("there should be {0}", path);
            text.Should().Be(File.ReadAllText(path).ReplaceLineEndings("\n"));
        }

        Directory.GetFiles(Path.Combine(s_project, "Expected", name)).Should().HaveCount(result.GeneratedTrees.Length);
    }

    private static string[] Sources() => ["global using System;", ReadProject("Flag.cs"), "using KvStore;\n" + ReadProject("IFlags.cs")];

    private static string ReadProject(string file) => File.ReadAllText(Path.Combine(s_project, file));
}
