using System.Text.RegularExpressions;

namespace KvStore.Tests.Architecture;

/// <summary>The folders of the packages for frameworks are layers: a file uses files of its own folder and of lower layers, and no others.</summary>
public sealed partial class WebLayeringTests
{
    // From the highest layer down. The folders of one layer do not use each other.
    private static readonly Dictionary<string, string[][]> s_layers = new()
    {
        ["KvStore.AspNetCore"] =
        [
            ["Hosting"],
            ["Rest", "Binding"],
            ["Authentication"],
            ["Http"],
            ["Catalog", "Sessions", "Transport", "OutputCaching", "Tickets", "DataProtection"],
            ["Adapters", "Keys"],
            ["Rules"],
        ],
        ["KvStore.Caching"] =
        [
            ["Hosting"],
            ["Distributed", "Hybrid"],
            ["Failures"],
            ["Keys"],
            ["Rules"],
        ],
        ["KvStore.Dashboard"] =
        [
            ["Hosting"],
            ["Routing"],
            ["Pages"],
            ["Forms"],
            ["Layout"],
            ["Requests"],
            ["Entries", "Live", "Markup"],
            ["Authentication"],
            ["Http"],
            ["Rules"],
        ],
        ["KvStore.FeatureManagement"] =
        [
            ["Hosting"],
            ["Definitions"],
            ["Configuration", "Keys"],
            ["Rules"],
        ],
    };

    public static TheoryData<string> Projects => [.. s_layers.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_file_uses_a_layer_above_or_beside_its_own(string project) =>
        FileGraph.OfProject(project).Uses
            .Where(use => FolderOf(use.From) != FolderOf(use.To) && LayerOf(project, use.To) <= LayerOf(project, use.From))
            .Select(use => $"{use.From} uses {use.To}")
            .Should().BeEmpty();

    [Theory]
    [MemberData(nameof(Projects))]
    public void Every_folder_has_a_layer_and_no_layer_is_empty(string project) =>
        FileGraph.OfProject(project).Files.Select(FolderOf).Distinct()
            .Should().BeEquivalentTo(s_layers[project].SelectMany(layer => layer));

    [Theory]
    [InlineData("KvStore.AspNetCore", "KvStore")]
    [InlineData("KvStore.Caching", "KvStore")]
    [InlineData("KvStore.Dashboard", "KvStore.Dashboard")]
    [InlineData("KvStore.FeatureManagement", "KvStore")]
    public void The_namespace_of_internal_types_is_their_folder(string project, string root) =>
        SourceTree.FilesOf(Path.Combine(SourceTree.Root, "src", project))
            .Where(file => !PublicType().IsMatch(file.Value))
            .Where(file => DeclaredNamespace().Match(file.Value).Groups["name"].Value != $"{root}.{FolderOf(file.Key)}")
            .Select(file => file.Key)
            .Should().BeEmpty();

    [Theory]
    [InlineData("KvStore.AspNetCore", "Rest/ApiEndpoint.cs", "Authentication/TokenAuthentication.cs")]
    [InlineData("KvStore.AspNetCore", "Rest/ApiEndpoint.cs", "Http/HttpEndpoint.cs")]
    [InlineData("KvStore.AspNetCore", "Http/HttpEndpoint.cs", "Catalog/KvNamespaceCatalog.cs")]
    [InlineData("KvStore.Dashboard", "Pages/EntryPage.cs", "Requests/Visit.cs")]
    [InlineData("KvStore.Dashboard", "Routing/DashboardRoute.cs", "Http/HttpEndpoint.cs")]
    public void The_graph_sees_what_a_file_uses(string project, string from, string to) =>
        FileGraph.OfProject(project).Uses.Should().Contain((from, to));

    [Theory]
    [MemberData(nameof(Projects))]
    public void File_has_at_most_450_lines_and_a_name_that_says_what_it_holds(string project) =>
        SourceTree.UntidyFilesOf(Path.Combine(SourceTree.Root, "src", project)).Should().BeEmpty();

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_code_decides_by_the_words_of_a_message(string project) =>
        SourceTree.FilesOf(Path.Combine(SourceTree.Root, "src", project))
            .Where(file => ReadMessage().IsMatch(file.Value))
            .Select(file => file.Key)
            .Should().BeEmpty();

    [Fact]
    public void Internals_of_the_library_are_visible_to_tests_and_benchmarks_only()
    {
        foreach (var project in Directory.EnumerateFiles(Path.Combine(SourceTree.Root, "src"), "*.csproj", SearchOption.AllDirectories))
        {
            VisibleTo().Matches(File.ReadAllText(project)).Select(match => match.Groups["name"].Value)
                .Should().OnlyContain(name => name.EndsWith("Tests") || name == "KvStore.TestKit" || name == "KvStore.Comparisons", project);
        }
    }

    private static string FolderOf(string file) => file.Contains('/') ? file[..file.LastIndexOf('/')] : "";

    private static int LayerOf(string project, string file) => Array.FindIndex(s_layers[project], layer => layer.Contains(FolderOf(file)));

    [GeneratedRegex("^public ", RegexOptions.Multiline)]
    private static partial Regex PublicType();

    [GeneratedRegex("^namespace (?<name>[\\w.]+);", RegexOptions.Multiline)]
    private static partial Regex DeclaredNamespace();

    [GeneratedRegex(@"\b(Message|Reason|message|reason)\.(StartsWith|EndsWith|Contains|IndexOf|LastIndexOf|Equals|Split|Replace)\b")]
    private static partial Regex ReadMessage();

    [GeneratedRegex("<InternalsVisibleTo Include=\"(?<name>[^\"]+)\"")]
    private static partial Regex VisibleTo();
}
