using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace KvStore.Tests.Architecture;

/// <summary>
/// The files of a project and which file uses a type of which other file. A file uses a type when it names it, creates it with
/// <c>new()</c>, or calls an extension method of it. Comments do not count.
/// </summary>
internal sealed class FileGraph
{
    // What the projects use without a using directive: the implicit ones, and those of the project files.
    private const string GlobalUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        global using static System.FormattableString;
        """;

    private static readonly ConcurrentDictionary<string, Lazy<FileGraph>> s_projects = new(StringComparer.Ordinal);
    private static readonly Lazy<IReadOnlyList<MetadataReference>> s_references = new(References);

    private readonly Dictionary<string, HashSet<string>> _uses;

    private FileGraph(Dictionary<string, HashSet<string>> uses) => _uses = uses;

    /// <summary>The files by their path below the project, with forward slashes; linked files by the path of their link.</summary>
    public IReadOnlyCollection<string> Files => _uses.Keys;

    /// <summary>Every pair of files of which the first uses the second.</summary>
    public IEnumerable<(string From, string To)> Uses => _uses.SelectMany(file => file.Value.Select(to => (file.Key, to)));

    /// <summary>Reads the files of a project below <c>src</c>, and those that its project file links. Each project is read once.</summary>
    public static FileGraph OfProject(string name) => s_projects.GetOrAdd(name, static name => new(() => ReadProject(Path.Combine(SourceTree.Root, "src", name)))).Value;

    private static FileGraph ReadProject(string project)
    {
        var files = SourceTree.FilesOf(project).ToDictionary();
        foreach (var projectFile in Directory.EnumerateFiles(project, "*.csproj"))
        {
            foreach (Match linked in Regex.Matches(File.ReadAllText(projectFile), "<Compile Include=\"(?<path>[^\"*]+)\" Link=\"(?<link>[^\"]+)\""))
            {
                files.Add(linked.Groups["link"].Value, File.ReadAllText(Path.Combine(project, linked.Groups["path"].Value)));
            }
        }

        return OfSources(files);
    }

    /// <summary>Reads files that are given by path and source.</summary>
    public static FileGraph OfSources(IReadOnlyDictionary<string, string> sources)
    {
        var options = CSharpParseOptions.Default.WithLanguageVersion(LanguageVersion.Preview);
        var compilation = CSharpCompilation.Create(
            "graph",
            sources.Select(file => CSharpSyntaxTree.ParseText(file.Value, options, file.Key)).Append(CSharpSyntaxTree.ParseText(GlobalUsings, options, "")),
            s_references.Value,
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        var names = compilation.SyntaxTrees.SelectMany(tree => tree.GetRoot().DescendantNodes()).SelectMany(NamesDeclaredBy).ToHashSet(StringComparer.Ordinal);
        var uses = sources.Keys.ToDictionary(file => file, _ => new HashSet<string>(StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (var tree in compilation.SyntaxTrees.Where(tree => tree.FilePath.Length > 0))
        {
            var model = compilation.GetSemanticModel(tree);
            foreach (var node in tree.GetRoot().DescendantNodes().Where(node => node is ImplicitObjectCreationExpressionSyntax || (node is SimpleNameSyntax name && names.Contains(name.Identifier.Text))))
            {
                if (TypeUsedBy(node, model) is { } type)
                {
                    uses[tree.FilePath].UnionWith(FilesOf(type).Where(file => file != tree.FilePath));
                }
            }
        }

        return new FileGraph(uses);
    }

    /// <summary>The circles: groups of files of which each reaches each other one (strongly connected components), of more than one file.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Circles()
    {
        // Tarjan, "Depth-first search and linear graph algorithms" (1972).
        var (circles, stack) = (new List<IReadOnlyList<string>>(), new Stack<string>());
        var (index, low, onStack) = (new Dictionary<string, int>(), new Dictionary<string, int>(), new HashSet<string>());
        foreach (var file in _uses.Keys.Order(StringComparer.Ordinal))
        {
            if (!index.ContainsKey(file))
            {
                Visit(file);
            }
        }

        return circles;

        void Visit(string file)
        {
            index[file] = low[file] = index.Count;
            stack.Push(file);
            onStack.Add(file);
            foreach (var used in _uses[file])
            {
                if (!index.TryGetValue(used, out var at))
                {
                    Visit(used);
                    low[file] = Math.Min(low[file], low[used]);
                }
                else if (onStack.Contains(used))
                {
                    low[file] = Math.Min(low[file], at);
                }
            }

            if (low[file] != index[file])
            {
                return;
            }

            var circle = new List<string>();
            string member;
            do
            {
                member = stack.Pop();
                onStack.Remove(member);
                circle.Add(member);
            }
            while (member != file);

            if (circle.Count > 1)
            {
                circles.Add([.. circle.Order(StringComparer.Ordinal)]);
            }
        }
    }

    // The names by which a file can be used. Only these are looked up, which takes most of the time.
    private static IEnumerable<string> NamesDeclaredBy(SyntaxNode node) => node switch
    {
        BaseTypeDeclarationSyntax type when type.Identifier.Text.EndsWith("Attribute", StringComparison.Ordinal) => [type.Identifier.Text, type.Identifier.Text[..^"Attribute".Length]],
        BaseTypeDeclarationSyntax type => [type.Identifier.Text],
        DelegateDeclarationSyntax type => [type.Identifier.Text],
        MethodDeclarationSyntax method when IsStatic(method) => [method.Identifier.Text],
        PropertyDeclarationSyntax property when IsStatic(property) => [property.Identifier.Text],
        FieldDeclarationSyntax field when IsStatic(field) => field.Declaration.Variables.Select(variable => variable.Identifier.Text),
        _ => [],
    };

    private static bool IsStatic(MemberDeclarationSyntax member) =>
        member.Modifiers.Any(modifier => modifier.IsKind(SyntaxKind.StaticKeyword) || modifier.IsKind(SyntaxKind.ConstKeyword));

    private static INamedTypeSymbol? TypeUsedBy(SyntaxNode node, SemanticModel model)
    {
        var info = model.GetSymbolInfo(node);
        return (info.Symbol ?? info.CandidateSymbols.FirstOrDefault()) switch
        {
            INamedTypeSymbol type => type,
            IMethodSymbol { MethodKind: MethodKind.Constructor } constructor => constructor.ContainingType,
            IMethodSymbol { IsExtensionMethod: true } extension => extension.ContainingType,

            // Without the type's name before it: by "using static".
            { IsStatic: true, ContainingType: { } container } when node.Parent is not MemberAccessExpressionSyntax => container,
            _ => null,
        };
    }

    // What this test runs with, and ASP.NET Core, which lies beside the runtime: an extension method is only found when the type that
    // it extends is known.
    private static List<MetadataReference> References()
    {
        var framework = new DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory());
        var web = new DirectoryInfo(Path.Combine(framework.Parent!.Parent!.FullName, "Microsoft.AspNetCore.App", framework.Name));
        return
        [
            .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
                .Concat(web.Exists ? web.EnumerateFiles("*.dll").Select(file => file.FullName) : [])
                .DistinctBy(Path.GetFileName)
                .Select(path => MetadataReference.CreateFromFile(path)),
        ];
    }

    private static IEnumerable<string> FilesOf(INamedTypeSymbol type) =>
        type.OriginalDefinition.DeclaringSyntaxReferences.Select(declaration => declaration.SyntaxTree.FilePath).Where(path => path.Length > 0);
}
