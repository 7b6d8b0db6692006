using System.Text.RegularExpressions;

namespace KvStore.Tests.Architecture;

/// <summary>
/// The folders of the library are layers: a file uses files of its own folder and of lower layers, and no others. Each file of the
/// root is a part of a layer by itself.
/// </summary>
public sealed partial class LayeringTests
{
    private const int RootFilesMax = 28;

    // From the highest layer down. The parts of one layer do not use each other.
    private static readonly string[][] s_layers =
    [
        ["Hosting", "Bulk", "Typed", "Extended"],
        ["KvNamespaceExtensions.cs", "KvRegionExtensions.cs", "KvInspector.cs", "Configuration"],
        ["KvNamespace.cs"],
        ["Updates"],
        ["Regions", "Creation", "Prefixes"],
        ["Reads", "Writes", "KvProfile.cs"],
        ["KvNamespaceOptions.cs"],
        ["Replication", "Persistence/Log", "IKvExtendedNamespace.cs"],
        ["Memory", "Persistence/Storage", "IKvNamespace.cs"],
        ["Watching", "KvEntry.cs"],
        ["Order", "KvValue.cs", "KvListPage.cs"],
        ["Index", "Values", "Engines", "KvListKey.cs"],
        ["Segments", "Persistence"],
        ["Rules"],
        ["Keys", "KvPutOptions.cs", "KvDiagnostics.cs"],
        ["KvMetadata.cs", "Expiry", "Diagnostics"],
        ["Records", "Json", "Wrangler", "KvContent.cs", "KvCondition.cs", "KvGetOptions.cs", "KvListOptions.cs", "KvException.cs", "KvArgumentException.cs"],
    ];

    private static readonly IReadOnlyDictionary<string, int> s_layerOf =
        s_layers.SelectMany((parts, layer) => parts.Select(part => (part, layer))).ToDictionary(pair => pair.part, pair => pair.layer);

    private static FileGraph Library => FileGraph.OfProject("KvStore");

    [Fact]
    public void No_file_uses_a_layer_above_or_beside_its_own() =>
        Library.Uses
            .Where(use => PartOf(use.From) != PartOf(use.To) && s_layerOf[PartOf(use.To)] <= s_layerOf[PartOf(use.From)])
            .Select(use => $"{use.From} uses {use.To}")
            .Should().BeEmpty();

    [Fact]
    public void Every_folder_and_root_file_has_a_layer_and_no_layer_is_empty() =>
        Library.Files.Select(PartOf).Distinct().Should().BeEquivalentTo(s_layerOf.Keys);

    [Fact]
    public void The_root_shows_at_most_28_files_and_the_namespace_is_one_of_them()
    {
        var root = Library.Files.Where(file => !file.Contains('/')).ToArray();
        root.Length.Should().BeLessThanOrEqualTo(RootFilesMax);
        root.Count(file => file.StartsWith("KvNamespace.", StringComparison.Ordinal)).Should().Be(1);
    }

    [Fact]
    public void The_namespace_of_internal_types_is_their_folder() =>
        SourceTree.FilesOf(SourceTree.Library)
            .Where(file => file.Key.Contains('/') && !PublicType().IsMatch(file.Value))
            .Where(file => DeclaredNamespace().Match(file.Value).Groups["name"].Value != $"KvStore.{PartOf(file.Key).Replace('/', '.')}")
            .Select(file => file.Key)
            .Should().BeEmpty();

    [Theory]
    [InlineData("KvNamespace.cs", "Reads/ReadPath.cs")]
    [InlineData("KvNamespace.cs", "Writes/WritePath.cs")]
    [InlineData("Reads/ReadPath.cs", "Index/HashIndex.cs")]
    [InlineData("Memory/ListPage.cs", "KvListPage.cs")]
    [InlineData("Records/Record.cs", "Records/RecordLayout.cs")]
    public void The_graph_sees_what_a_file_uses(string from, string to) =>
        Library.Uses.Should().Contain((from, to));

    private static string PartOf(string file) => file.Contains('/') ? file[..file.LastIndexOf('/')] : file;

    [GeneratedRegex("^public ", RegexOptions.Multiline)]
    private static partial Regex PublicType();

    [GeneratedRegex(@"^namespace (?<name>[\w.]+);", RegexOptions.Multiline)]
    private static partial Regex DeclaredNamespace();
}
