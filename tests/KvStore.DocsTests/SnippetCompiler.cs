using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace KvStore.DocsTests;

/// <summary>
/// Compiles a snippet as its reader would use it: a program as it is; anything else as the body of a method, in which the names
/// exist that the prelude of the document declares.
/// </summary>
internal static class SnippetCompiler
{
    private const string General = "general";

    private static readonly MetadataReference[] s_references =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => path.EndsWith(".dll", StringComparison.Ordinal))
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    // What a project of the web has by itself.
    private static readonly string s_implicitUsings = string.Concat(new[]
    {
        "System", "System.Collections.Generic", "System.IO", "System.Linq", "System.Net.Http", "System.Net.Http.Json", "System.Threading",
        "System.Threading.Tasks", "Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Http",
        "Microsoft.AspNetCore.Routing", "Microsoft.Extensions.Configuration", "Microsoft.Extensions.DependencyInjection",
        "Microsoft.Extensions.Hosting", "Microsoft.Extensions.Logging",
    }.Select(name => $"global using {name};\n"));

    /// <summary>Whether a snippet is a whole program: it says itself which namespaces it uses.</summary>
    public static bool IsProgram(Snippet snippet) =>
        snippet.Code.Split('\n').Any(line => line.StartsWith("using KvStore;", StringComparison.Ordinal)) && Parse(snippet.Code).Members.Any(IsStatement);

    /// <summary>Whether a snippet is a program that ends only when it is stopped.</summary>
    public static bool IsServer(Snippet snippet) =>
        IsProgram(snippet) && snippet.Code.Split('\n').Any(line => line == "app.Run();");

    /// <summary>Compiles a snippet.</summary>
    /// <returns>The assembly; the errors, each with its line in the document.</returns>
    public static (Assembly? Assembly, IReadOnlyList<string> Errors) Compile(Snippet snippet)
    {
        var isProgram = IsProgram(snippet);
        var sources = isProgram
            ? new[] { Mark(snippet, snippet.Code) }
            : [Prelude(General), Prelude(PreludeNameOf(snippet.Document)), Framed(snippet)];
        var options = new CSharpParseOptions(LanguageVersion.Latest);
        var compilation = CSharpCompilation.Create(
            $"Snippet-{Guid.NewGuid():N}",
            sources.Append(s_implicitUsings).Where(source => source.Length > 0).Select(source => CSharpSyntaxTree.ParseText(source, options)),
            s_references,
            new CSharpCompilationOptions(
                isProgram ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));
        SnippetGenerators.Create(snippet.Document, options).RunGeneratorsAndUpdateCompilation(compilation, out var generated, out _);
        using var bytes = new MemoryStream();
        var errors = generated.Emit(bytes).Diagnostics.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error).Select(Describe).ToList();
        return errors.Count > 0 ? (null, errors) : (Assembly.Load(bytes.ToArray()), errors);
    }

    // The snippet's statements, and its types beside the method. A name that the prelude does not know is an error in the document or
    // a line for Preludes.
    private static string Framed(Snippet snippet)
    {
        var unit = Parse(snippet.Code);
        var types = string.Concat(unit.Members.Where(member => !IsStatement(member)).Select(member => Mark(snippet, member.ToFullString(), LineOf(member))));
        var statements = string.Concat(unit.Members.Where(IsStatement).Select(member => Mark(snippet, member.ToFullString(), LineOf(member))));
        return $$"""
            {{unit.Usings.ToFullString()}}
            public sealed class TheSnippet : {{(Prelude(PreludeNameOf(snippet.Document)).Contains("class DocumentPrelude", StringComparison.Ordinal) ? "DocumentPrelude" : "GeneralPrelude")}}
            {
                public override async Task RunAsync()
                {
                    await Task.CompletedTask;
            {{statements}}
                }
            }
            {{types}}
            """;
    }

    private static CompilationUnitSyntax Parse(string code) =>
        CSharpSyntaxTree.ParseText(code, new CSharpParseOptions(LanguageVersion.Latest)).GetCompilationUnitRoot();

    private static bool IsStatement(MemberDeclarationSyntax member) => member is GlobalStatementSyntax;

    private static int LineOf(MemberDeclarationSyntax member) =>
        member.SyntaxTree.GetLineSpan(member.FullSpan).StartLinePosition.Line;

    private static string Mark(Snippet snippet, string code, int lineInSnippet = 0) =>
        $"\n#line {snippet.Line + 1 + lineInSnippet} \"{snippet.Document}\"\n{code}\n#line default\n";

    private static string Describe(Diagnostic diagnostic)
    {
        var place = diagnostic.Location.GetMappedLineSpan();
        return $"{place.Path}:{place.StartLinePosition.Line + 1}: {diagnostic.Id} {diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}";
    }

    private static string PreludeNameOf(string document) => Path.GetFileNameWithoutExtension(document);

    private static string Prelude(string name)
    {
        using var stream = typeof(SnippetCompiler).Assembly.GetManifestResourceStream(name);
        return stream is null ? "" : $"#line 1 \"Preludes/{name}.cs\"\n" + new StreamReader(stream).ReadToEnd();
    }
}
