using System.Text.RegularExpressions;

namespace KvStore.Tests.Architecture;

/// <summary>
/// The folders of the library are floors: a file may name what lies below its own, never what lies above or beside it.
/// </summary>
public sealed partial class LayeringTests
{
    // From the roof down. What stands on one line stands side by side. "" is the root's vocabulary.
    private static readonly string[][] s_floors =
    [
        ["Hosting"],
        ["KvNamespace.cs"],
        ["Commit"],
        ["Replication"],
        ["Engine", "Persistence.Log"],
        ["Keys", "Values", "Expiry", "Persistence.Storage"],
        ["", "Bulk", "Diagnostics"],
    ];

    [Fact]
    public void No_file_names_a_folder_above_or_beside_its_own()
    {
        var climbs =
            from file in SourceTree.LibraryFiles()
            let place = PlaceOf(file.Key)
            from named in FoldersNamedIn(file.Value)
            where named != place && FloorOf(named) <= FloorOf(place) && !IsDoor(file.Key, named)
            select $"{file.Key} names {named}";

        climbs.Should().BeEmpty();
    }

    [Fact]
    public void Every_folder_has_a_floor()
    {
        var unknown = SourceTree.LibraryFiles().Keys.Select(PlaceOf).Distinct().Where(place => FloorOf(place) < 0);

        unknown.Should().BeEmpty();
    }

    [Fact]
    public void The_namespace_of_a_file_is_its_folder()
    {
        var strays =
            from file in SourceTree.LibraryFiles()
            let declared = DeclaredNamespace().Match(file.Value).Groups["name"].Value
            let folder = PlaceOf(file.Key) is "" or "KvNamespace.cs" ? "KvStore" : $"KvStore.{PlaceOf(file.Key)}"
            where declared != folder && !(folder == "KvStore.Hosting" && declared is "KvStore" or "Microsoft.Extensions.DependencyInjection")
            select $"{file.Key} declares {declared}";

        strays.Should().BeEmpty();
    }

    [Fact]
    public void The_test_sees_the_folders_that_the_door_names()
    {
        // If the patterns below stopped matching, nothing above could fail.
        var door = SourceTree.LibraryFiles()["KvNamespace.cs"];

        FoldersNamedIn(door).Should().Contain(["Commit", "Engine", "Expiry", "Keys", "Values"]);
    }

    private static string PlaceOf(string file) => file switch
    {
        // One class, in a file for each part of its life.
        "KvNamespace.cs" or "KvNamespace.Decoded.cs" or "KvNamespace.Find.cs" or "KvNamespace.FindMany.cs"
            or "KvNamespace.Lifetime.cs" or "KvNamespace.Observed.cs" or "KvNamespace.Regions.cs" => "KvNamespace.cs",
        // The same door, with the view of a region behind it.
        "KvRegion.cs" => "KvNamespace.cs",
        _ when file.Contains('/') => file[..file.LastIndexOf('/')].Replace('/', '.'),
        _ => "",
    };

    private static int FloorOf(string place) => Array.FindIndex(s_floors, floor => floor.Contains(place));

    // The public way into a folder, which lies in the root because that is where people look for it.
    private static bool IsDoor(string file, string named) =>
        (file == "KvBulk.cs" && named == "Bulk")
        || (file == "KvReplication.cs" && named == "Replication")
        || (file == "KvDiagnostics.cs" && named == "Diagnostics")
        || (file == "FilePersistence.cs" && named is ("Persistence.Log" or "Persistence.Storage"));

    private static IEnumerable<string> FoldersNamedIn(string source) => s_floors
        .SelectMany(floor => floor)
        .Where(folder => folder.Length > 0 && !folder.EndsWith(".cs", StringComparison.Ordinal))
        .Where(folder => Regex.IsMatch(source, $@"\bKvStore\.{Regex.Escape(folder)}\b(?!\s*;?\s*$(?<=namespace[^\n]*))", RegexOptions.Multiline)
            || Regex.IsMatch(source, $@"(?<![\w.]){Regex.Escape(folder)}\.[A-Z]\w*", RegexOptions.None) && IsFolderOf(source, folder));

    // A qualified name that begins with a folder's, such as Hosting.KvConfiguration, and not a member of that name.
    private static bool IsFolderOf(string source, string folder) =>
        Regex.Matches(source, $@"(?<![\w.]){Regex.Escape(folder)}\.(?<type>[A-Z]\w*)")
            .Any(match => File.Exists(Path.Combine(SourceTree.Library, folder.Replace('.', '/'), match.Groups["type"].Value + ".cs")));

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex DeclaredNamespace();
}
