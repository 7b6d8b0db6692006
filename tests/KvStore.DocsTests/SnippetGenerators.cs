using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.InteropServices;
using KvStore.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.Text;

namespace KvStore.DocsTests;

/// <summary>
/// The generators that the project of a reader runs: that of the package, with the Wrangler file of the document beside the project,
/// and that of System.Text.Json, which comes with the SDK.
/// </summary>
internal static class SnippetGenerators
{
    // As the documents name it.
    private const string RootNamespace = "FlagSite";

    private static readonly IEnumerable<ISourceGenerator> s_ofJson = FindOfJson();

    /// <summary>A driver for the snippets of a document.</summary>
    public static GeneratorDriver Create(string document, CSharpParseOptions options) => CSharpGeneratorDriver.Create(
        [new KvBindingsGenerator().AsSourceGenerator(), .. s_ofJson],
        WranglerFileOf(document) is { } text ? [new WranglerFile(text)] : [],
        options,
        new Options());

    // The first block of JSON in the document, or one that stands beside its prelude.
    private static string? WranglerFileOf(string document)
    {
        var path = Path.Combine(Snippet.Root, document);
        var block = File.Exists(path)
            ? File.ReadLines(path).SkipWhile(line => line != "```jsonc").Skip(1).TakeWhile(line => line != "```").ToList()
            : [];
        if (block.Count > 0)
        {
            return string.Join('\n', block);
        }

        using var stream = typeof(SnippetGenerators).Assembly.GetManifestResourceStream(Path.GetFileNameWithoutExtension(document) + ".jsonc");
        return stream is null ? null : new StreamReader(stream).ReadToEnd();
    }

    private static List<ISourceGenerator> FindOfJson()
    {
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var path = Directory.EnumerateFiles(
            Path.Combine(root, "packs", "Microsoft.NETCore.App.Ref"), "System.Text.Json.SourceGeneration.dll", SearchOption.AllDirectories).Max();
        return
        [
            .. Assembly.LoadFrom(path!).GetTypes()
                .Where(type => type.GetCustomAttribute<GeneratorAttribute>() is not null)
                .Select(type => Activator.CreateInstance(type) is IIncrementalGenerator generator
                    ? generator.AsSourceGenerator()
                    : throw new InvalidOperationException($"{type} is no incremental generator.")),
        ];
    }

    private sealed class WranglerFile(string text) : AdditionalText
    {
        public override string Path => "/site/wrangler.jsonc";

        public override SourceText GetText(CancellationToken cancellationToken = default) => SourceText.From(text, System.Text.Encoding.UTF8);
    }

    private sealed class Options : AnalyzerConfigOptionsProvider
    {
        public override AnalyzerConfigOptions GlobalOptions { get; } = new Properties();

        public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => GlobalOptions;

        public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => GlobalOptions;
    }

    private sealed class Properties : AnalyzerConfigOptions
    {
        public override bool TryGetValue(string key, [NotNullWhen(true)] out string? value)
        {
            value = key == "build_property.RootNamespace" ? RootNamespace : null;
            return value is not null;
        }
    }
}
