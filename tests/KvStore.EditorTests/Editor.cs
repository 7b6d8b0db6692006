using System.Reflection;
using KvStore.Generators;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Completion;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Diagnostics;
using Microsoft.CodeAnalysis.FindSymbols;
using Microsoft.CodeAnalysis.Host.Mef;
using Microsoft.CodeAnalysis.Text;

namespace KvStore.EditorTests;

/// <summary>A project in an editor: one source file and one <c>wrangler.jsonc</c>, with the services of Roslyn that editors use.</summary>
internal sealed class Editor : IDisposable
{
    /// <summary>Where the caret is, in source that a test gives.</summary>
    public const string Caret = "$$";

    private const string FilePath = "/src/Program.cs";

    private static readonly MefHostServices s_services = MefHostServices.Create(MefHostServices.DefaultAssemblies.Concat(
    [
        Assembly.Load("Microsoft.CodeAnalysis.Features"),
        Assembly.Load("Microsoft.CodeAnalysis.CSharp.Features"),
    ]));

    private static readonly MetadataReference[] s_references =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => !Path.GetFileName(path).StartsWith("KvStore.Generators", StringComparison.Ordinal))
            .Select(path => MetadataReference.CreateFromFile(path, documentation: DocumentationOf(path))),
    ];

    private readonly AdhocWorkspace _workspace = new(s_services);
    private readonly Document _document;
    private readonly int _caret;

    public Editor(string wrangler, string source)
    {
        _caret = source.IndexOf(Caret, StringComparison.Ordinal);
        var projectId = ProjectId.CreateNewId();
        var documentId = DocumentId.CreateNewId(projectId);
        var solution = _workspace.CurrentSolution
            .AddProject(ProjectInfo.Create(
                projectId,
                VersionStamp.Default,
                "Edited",
                "Edited",
                LanguageNames.CSharp,
                compilationOptions: new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable),
                parseOptions: new CSharpParseOptions(LanguageVersion.CSharp12, DocumentationMode.Parse),
                metadataReferences: s_references,
                analyzerReferences: [new AnalyzerFileReference(typeof(KvBindingsGenerator).Assembly.Location, new Loader())]))
            .AddAdditionalDocument(DocumentId.CreateNewId(projectId), "wrangler.jsonc", SourceText.From(wrangler, System.Text.Encoding.UTF8), filePath: "/src/wrangler.jsonc")
            .AddAnalyzerConfigDocument(DocumentId.CreateNewId(projectId), ".globalconfig", SourceText.From("is_global = true\nbuild_property.RootNamespace = Edited\n"), filePath: "/src/.globalconfig")
            .AddDocument(documentId, "Program.cs", SourceText.From(source.Replace(Caret, "", StringComparison.Ordinal)), filePath: FilePath);
        _document = solution.GetDocument(documentId)!;
    }

    private Project Project => _document.Project;

    public void Dispose() => _workspace.Dispose();

    /// <summary>What the list at the caret offers.</summary>
    public async Task<IReadOnlyList<string>> CompleteAsync() => [.. (await CompletionsAsync()).ItemsList.Select(item => item.DisplayText)];

    /// <summary>What the list at the caret says about one of its items.</summary>
    public async Task<string> DescribeAsync(string name)
    {
        var item = (await CompletionsAsync()).ItemsList.Single(item => item.DisplayText == name);
        return (await CompletionService.GetService(_document)!.GetDescriptionAsync(_document, item))!.Text;
    }

    /// <summary>The line to which "go to definition" leads from the caret, and the file that it is in.</summary>
    public async Task<(string File, string Line)> GoToDefinitionAsync()
    {
        var symbol = await SymbolFinder.FindSymbolAtPositionAsync(_document, _caret)
            ?? throw new InvalidOperationException("There is no symbol at the caret.");
        return await LocationOfAsync(symbol);
    }

    /// <summary>The types in source that implement the interface at the caret.</summary>
    public async Task<IReadOnlyList<string>> FindImplementationsAsync()
    {
        var symbol = (INamedTypeSymbol)(await SymbolFinder.FindSymbolAtPositionAsync(_document, _caret))!;
        var found = await SymbolFinder.FindImplementationsAsync(symbol, Project.Solution);
        var files = await Task.WhenAll(found.Select(LocationOfAsync));
        return [.. files.Select(file => file.File)];
    }

    /// <summary>The problems that the editor underlines, in the source and in what is generated.</summary>
    public async Task<IReadOnlyList<string>> ProblemsAsync() =>
        [.. (await Project.GetCompilationAsync())!.GetDiagnostics().Where(d => d.Severity >= DiagnosticSeverity.Warning).Select(d => d.ToString())];

    private static XmlDocumentationProvider? DocumentationOf(string path) =>
        Path.ChangeExtension(path, ".xml") is var xml && File.Exists(xml) ? XmlDocumentationProvider.CreateFromFile(xml) : null;

    private async Task<CompletionList> CompletionsAsync() => await CompletionService.GetService(_document)!.GetCompletionsAsync(_document, _caret);

    private async Task<(string File, string Line)> LocationOfAsync(ISymbol symbol)
    {
        var location = symbol.Locations.Single(location => location.IsInSource);

        // An editor opens what is generated as it opens a file, so it must be one of the project's documents.
        var document = Project.GetDocument(location.SourceTree) as Document ?? await Project.GetSourceGeneratedDocumentAsync(Project.GetDocumentId(location.SourceTree)!);
        var text = await document!.GetTextAsync();
        return (document.Name, text.Lines.GetLineFromPosition(location.SourceSpan.Start).ToString().Trim());
    }

    // The package puts what the generator needs beside it, as the folder of these tests does.
    private sealed class Loader : IAnalyzerAssemblyLoader
    {
        public void AddDependencyLocation(string fullPath)
        {
        }

        public Assembly LoadFromPath(string fullPath) => Assembly.LoadFrom(fullPath);
    }
}
