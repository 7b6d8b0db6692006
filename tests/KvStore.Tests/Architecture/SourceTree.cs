using System.Runtime.CompilerServices;

namespace KvStore.Tests.Architecture;

/// <summary>The source files of the repository, found from where this file was compiled.</summary>
internal static class SourceTree
{
    public static string Root { get; } = FindRoot();

    public static string Library { get; } = Path.Combine(Root, "src", "KvStore");

    /// <summary>The C# files of the library, by their path below it, with forward slashes.</summary>
    public static IReadOnlyDictionary<string, string> LibraryFiles() => Directory
        .EnumerateFiles(Library, "*.cs", SearchOption.AllDirectories)
        .Select(path => (Name: Path.GetRelativePath(Library, path).Replace('\\', '/'), Path: path))
        .Where(file => !file.Name.StartsWith("bin/", StringComparison.Ordinal) && !file.Name.StartsWith("obj/", StringComparison.Ordinal))
        .ToDictionary(file => file.Name, file => File.ReadAllText(file.Path));

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
