using System.Runtime.CompilerServices;

namespace KvStore.TestKit;

/// <summary>The source files of the repository, found from where this file was compiled.</summary>
public static class SourceTree
{
    /// <summary>Names that say nothing of what is inside.</summary>
    private static readonly string[] s_meaninglessNames = ["Utils", "Util", "Helpers", "Helper", "Manager", "Common", "Services", "Misc"];

    public static string Root { get; } = FindRoot();

    /// <summary>The folder of the library.</summary>
    public static string Library { get; } = Path.Combine(Root, "src", "KvStore");

    /// <summary>The folder of the package that puts it on the network.</summary>
    public static string AspNetCore { get; } = Path.Combine(Root, "src", "KvStore.AspNetCore");

    /// <summary>The folder of the test projects.</summary>
    public static string Tests { get; } = Path.Combine(Root, "tests");

    /// <summary>The C# files below a folder, by their path below it, with forward slashes.</summary>
    public static IReadOnlyDictionary<string, string> FilesOf(string project) => Directory
        .EnumerateFiles(project, "*.cs", SearchOption.AllDirectories)
        .Select(path => (Name: Path.GetRelativePath(project, path).Replace('\\', '/'), Path: path))
        .Where(file => !IsBuildOutput(file.Name))
        .ToDictionary(file => file.Name, file => File.ReadAllText(file.Path));

    /// <summary>The Markdown files of the root, of the documentation and beside the sources, by their path below the root.</summary>
    public static IReadOnlyDictionary<string, string> Documents() => Directory.EnumerateFiles(Root, "*.md")
        .Concat(new[] { "docs", "src", "samples", "tests", "benchmarks" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root, folder), "*.md", SearchOption.AllDirectories)))
        .Select(path => (Name: Path.GetRelativePath(Root, path).Replace('\\', '/'), Path: path))
        .Where(file => !IsBuildOutput(file.Name))
        .ToDictionary(file => file.Name, file => File.ReadAllText(file.Path));

    /// <summary>The files that are too long, or whose path has a name that says nothing of what is inside.</summary>
    public static IEnumerable<string> UntidyFilesOf(string project, int linesMax = 450) =>
        from file in FilesOf(project)
        where file.Value.Count(c => c == '\n') > linesMax
            || file.Key.Split('/', '.').Any(part => s_meaninglessNames.Any(name => part.EndsWith(name, StringComparison.Ordinal)))
        select file.Key;

    private static bool IsBuildOutput(string path) => path.Split('/') is var folders && (folders.Contains("bin") || folders.Contains("obj"));

    private static string FindRoot([CallerFilePath] string thisFile = "")
    {
        // A deterministic build maps the paths of the compiler; then the test runs somewhere below the repository.
        var start = File.Exists(thisFile) ? Path.GetDirectoryName(thisFile)! : AppContext.BaseDirectory;
        for (var directory = new DirectoryInfo(start); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "KvStore.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException("The tests must run below the repository.");
    }
}
