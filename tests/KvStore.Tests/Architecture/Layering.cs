using System.Text.RegularExpressions;

namespace KvStore.Tests.Architecture;

/// <summary>The folders of a project as floors: a file may name what lies below its own, never what lies above or beside it.</summary>
/// <param name="project">The folder of the project.</param>
/// <param name="floors">From the roof down. What stands on one line stands side by side. "" is the root's vocabulary.</param>
/// <param name="placeOf">Where a file stands, when that is not its folder; null otherwise.</param>
/// <param name="isDoor">Whether a file is the public way into a folder, which lies in the root because that is where people look for it.</param>
internal sealed partial class Layering(string project, string[][] floors, Func<string, string?> placeOf, Func<string, string, bool> isDoor)
{
    private readonly IReadOnlyDictionary<string, string> _files = SourceTree.FilesOf(project);

    /// <summary>The files that name a folder above or beside their own.</summary>
    public IEnumerable<string> Climbs() =>
        from file in _files
        let place = PlaceOf(file.Key)
        from named in FoldersNamedIn(file.Value)
        where named != place && FloorOf(named) <= FloorOf(place) && !isDoor(file.Key, named)
        select $"{file.Key} names {named}";

    /// <summary>The folders that stand on no floor.</summary>
    public IEnumerable<string> WithoutFloor() => _files.Keys.Select(PlaceOf).Distinct().Where(place => FloorOf(place) < 0);

    /// <summary>The files whose namespace is not their folder's.</summary>
    /// <param name="others">Namespaces of others that <c>Hosting</c> adds to.</param>
    public IEnumerable<string> Strays(params string[] others) =>
        from file in _files
        let declared = DeclaredNamespace().Match(file.Value).Groups["name"].Value
        let folder = FolderOf(file.Key) is "" ? "KvStore" : $"KvStore.{FolderOf(file.Key)}"
        where declared != folder && !(declared == "KvStore" && DeclaresPublicType().IsMatch(file.Value)) && !(folder == "KvStore.Hosting" && (declared == "KvStore" || others.Contains(declared)))
        select $"{file.Key} declares {declared}";

    /// <summary>The folders that a file names.</summary>
    public IEnumerable<string> FoldersNamedBy(string file) => FoldersNamedIn(_files[file]);

    private static string FolderOf(string file) => file.Contains('/') ? file[..file.LastIndexOf('/')].Replace('/', '.') : "";

    private string PlaceOf(string file) => placeOf(file) ?? FolderOf(file);

    private int FloorOf(string place) => Array.FindIndex(floors, floor => floor.Contains(place));

    private IEnumerable<string> FoldersNamedIn(string source) => floors
        .SelectMany(floor => floor)
        .Where(folder => folder.Length > 0 && !folder.EndsWith(".cs", StringComparison.Ordinal))
        .Where(folder => Regex.IsMatch(source, $@"\bKvStore\.{Regex.Escape(folder)}\b(?!\s*;?\s*$(?<=namespace[^\n]*))", RegexOptions.Multiline)
            || Regex.IsMatch(source, $@"(?<![\w.]){Regex.Escape(folder)}\.[A-Z]\w*", RegexOptions.None) && IsFolderOf(source, folder));

    // A qualified name that begins with a folder's, such as Hosting.KvConfiguration, and not a member of that name.
    private bool IsFolderOf(string source, string folder) =>
        Regex.Matches(source, $@"(?<![\w.]){Regex.Escape(folder)}\.(?<type>[A-Z]\w*)")
            .Any(match => File.Exists(Path.Combine(project, folder.Replace('.', '/'), match.Groups["type"].Value + ".cs")));

    [GeneratedRegex(@"^public ", RegexOptions.Multiline)]
    private static partial Regex DeclaresPublicType();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex DeclaredNamespace();
}
