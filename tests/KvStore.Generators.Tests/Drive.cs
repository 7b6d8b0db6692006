using System.Collections.Immutable;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace KvStore.Generators.Tests;

/// <summary>Runs the generator over source and files in memory.</summary>
internal static class Drive
{
    private static readonly CSharpParseOptions s_parse = new(LanguageVersion.CSharp12, DocumentationMode.Diagnose);

    private static readonly MetadataReference[] s_references =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => !Path.GetFileName(path).StartsWith("KvStore.Generators", StringComparison.Ordinal))
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    /// <summary>A compilation of source.</summary>
    public static CSharpCompilation Compile(params string[] sources) => CSharpCompilation.Create(
        "Tested",
        sources.Select((source, i) => CSharpSyntaxTree.ParseText(source, s_parse, $"/src/File{i}.cs")),
        s_references,
        new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));

    /// <summary>A driver with files beside the project.</summary>
    public static GeneratorDriver Create(IEnumerable<AdditionalText> files, params (string Name, string Value)[] properties) => CSharpGeneratorDriver.Create(
        [new KvBindingsGenerator().AsSourceGenerator()],
        files,
        s_parse,
        new Options(properties.ToImmutableDictionary(p => "build_property." + p.Name, p => p.Value)),
        new GeneratorDriverOptions(IncrementalGeneratorOutputKind.None, trackIncrementalGeneratorSteps: true));

    /// <summary>What the generator makes of source and a file.</summary>
    public static GeneratorDriverRunResult Run(string source, params File[] files) => Create(files).RunGenerators(Compile(source)).GetRunResult();

    /// <summary>A diagnostic on a line: its id, its place from 1 and what it says.</summary>
    public static string Show(Diagnostic diagnostic)
    {
        var span = diagnostic.Location.GetLineSpan();
        return FormattableString.Invariant(
            $"{Path.GetFileName(span.Path)}({span.StartLinePosition.Line + 1},{span.StartLinePosition.Character + 1}): {diagnostic.Id}: {diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}");
    }

    /// <summary>A file in memory.</summary>
    internal sealed class File(string name, string content, Encoding? encoding = null) : AdditionalText
    {
        public override string Path => "/src/" + name;

        public override SourceText GetText(CancellationToken cancellationToken = default) => SourceText.From(content, encoding ?? Encoding.UTF8);
    }

    private sealed class Options(ImmutableDictionary<string, string> properties) : AnalyzerConfigOptionsProvider
    {
        public override AnalyzerConfigOptions GlobalOptions { get; } = new Set(properties);

        public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => GlobalOptions;

        public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => GlobalOptions;
    }

    private sealed class Set(ImmutableDictionary<string, string> values) : AnalyzerConfigOptions
    {
        public override bool TryGetValue(string key, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out string? value) => values.TryGetValue(key, out value);
    }
}
