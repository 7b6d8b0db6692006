using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace KvStore.Generators.Tests;

/// <summary>What an edit runs again.</summary>
public sealed class IncrementalityTests
{
    private const string Typed = """
        using KvStore;
        [KvNamespace("A")]
        public partial interface ITyped
        {
            [KvKey("k:{id}")]
            KvTypedEntry<string, KvMetadata> Entry(int id);
        }
        """;

    private const string Elsewhere = "class Elsewhere { int Field = 1; }";

    private static readonly Drive.File s_file = new("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }] }""");

    [Theory]
    [InlineData("class Elsewhere { int Field = 2; string Other() => \"x\"; }")]
    [InlineData("// A comment\nclass Elsewhere { int Field = 1; }\nclass More { }")]
    [InlineData("interface INotTyped { void M(); }")]
    public void Edit_elsewhere_generates_nothing_again(string edited)
    {
        var compilation = Drive.Compile(Typed, Elsewhere);
        var driver = Drive.Create([s_file]).RunGenerators(compilation);

        driver = driver.RunGenerators(Replace(compilation, 1, edited));

        Outputs(driver).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Cached || reason == IncrementalStepRunReason.Unchanged);
        Steps(driver, KvBindingsGenerator.Steps.Interfaces).Should().OnlyContain(
            reason => reason == IncrementalStepRunReason.Unchanged || reason == IncrementalStepRunReason.Cached);
    }

    [Fact]
    public void Line_added_above_a_typed_namespace_generates_nothing_again()
    {
        // Diagnostics have moved, so the interface is read again; what is generated from it is the same.
        var compilation = Drive.Compile(Typed, Elsewhere);
        var driver = Drive.Create([s_file]).RunGenerators(compilation);
        var before = Texts(driver);

        driver = driver.RunGenerators(Replace(compilation, 0, "\n" + Typed));

        Texts(driver).Should().Equal(before);
        Steps(driver, KvBindingsGenerator.Steps.Registrations).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Unchanged);
    }

    [Fact]
    public void Edit_of_the_file_leaves_typed_namespaces_alone()
    {
        var compilation = Drive.Compile(Typed, Elsewhere);
        var driver = Drive.Create([s_file]).RunGenerators(compilation);

        driver = driver.ReplaceAdditionalText(s_file, new Drive.File("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }, { "binding": "B" }] }"""))
            .RunGenerators(compilation);

        Steps(driver, KvBindingsGenerator.Steps.File).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Modified);
        Steps(driver, KvBindingsGenerator.Steps.Interfaces).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Cached);
        Texts(driver).Should().Contain(text => text.Contains("IKvNamespace B =>"));
    }

    [Fact]
    public void Edit_of_what_the_file_says_beside_bindings_generates_nothing_again()
    {
        var compilation = Drive.Compile(Typed, Elsewhere);
        var driver = Drive.Create([s_file]).RunGenerators(compilation);

        driver = driver.ReplaceAdditionalText(s_file, new Drive.File("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }], "vars": { "X": "y" } }"""))
            .RunGenerators(compilation);

        Steps(driver, KvBindingsGenerator.Steps.Files).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Unchanged);
        Outputs(driver).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Cached || reason == IncrementalStepRunReason.Unchanged);
    }

    [Fact]
    public void Edit_of_a_template_generates_its_interface_again_and_no_registration()
    {
        var compilation = Drive.Compile(Typed, Elsewhere);
        var driver = Drive.Create([s_file]).RunGenerators(compilation);

        driver = driver.RunGenerators(Replace(compilation, 0, Typed.Replace("k:{id}", "key:{id}")));

        Outputs(driver).Should().Contain(IncrementalStepRunReason.Modified);
        Steps(driver, KvBindingsGenerator.Steps.Registrations).Should().OnlyContain(reason => reason == IncrementalStepRunReason.Unchanged);
        Texts(driver).Should().Contain(text => text.Contains("\"key:\""));
    }

    private static CSharpCompilation Replace(CSharpCompilation compilation, int file, string source)
    {
        var tree = compilation.SyntaxTrees[file];
        return compilation.ReplaceSyntaxTree(tree, CSharpSyntaxTree.ParseText(source, (CSharpParseOptions)tree.Options, tree.FilePath));
    }

    private static List<IncrementalStepRunReason> Outputs(GeneratorDriver driver) =>
        [.. driver.GetRunResult().Results.Single().TrackedOutputSteps.SelectMany(step => step.Value).SelectMany(run => run.Outputs).Select(output => output.Reason)];

    private static List<IncrementalStepRunReason> Steps(GeneratorDriver driver, string name) =>
        [.. driver.GetRunResult().Results.Single().TrackedSteps[name].SelectMany(run => run.Outputs).Select(output => output.Reason)];

    private static List<string> Texts(GeneratorDriver driver) => [.. driver.GetRunResult().GeneratedTrees.Select(tree => tree.ToString())];
}
