using System.Text.RegularExpressions;

namespace KvStore.DocsTests;

/// <summary>The documents lead to each other, and nowhere else than to what exists.</summary>
public sealed partial class LinkTests
{
    private static readonly string[] s_documents =
        [.. Snippet.Documents().Concat(Directory.EnumerateFiles(Path.Combine(Snippet.Root, "benchmarks", "results"), "*.md", SearchOption.AllDirectories))
            .Select(document => Path.GetFullPath(Path.Combine(Snippet.Root, document)))];

    public static TheoryData<string> Documents => [.. s_documents.Select(path => Path.GetRelativePath(Snippet.Root, path))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Relative_link_leads_to_a_file_and_a_heading_that_exist(string document)
    {
        var path = Path.Combine(Snippet.Root, document);
        foreach (var (target, heading) in LinksOf(File.ReadAllText(path)))
        {
            var file = target.Length == 0 ? path : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, target));
            (File.Exists(file) || Directory.Exists(file)).Should().BeTrue("{0} links to {1}", document, target);
            if (heading.Length > 0)
            {
                AnchorsOf(File.ReadAllText(file)).Should().Contain(heading, "{0} links to {1}#{2}", document, target, heading);
            }
        }
    }

    [Fact]
    public void Every_document_can_be_reached_from_the_map_of_the_documents()
    {
        var found = new HashSet<string>();
        var open = new Queue<string>([Path.Combine(Snippet.Root, "docs", "README.md")]);
        while (open.TryDequeue(out var document))
        {
            if (!found.Add(document) || Path.GetExtension(document) != ".md")
            {
                continue;
            }

            foreach (var (target, _) in LinksOf(File.ReadAllText(document)).Where(link => link.File.Length > 0))
            {
                var linked = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(document)!, target));
                open.Enqueue(Directory.Exists(linked) ? Path.Combine(linked, "README.md") : linked);
            }
        }

        // Readmes of packages and samples are read where those are.
        var here = s_documents.Where(path => !Path.GetRelativePath(Snippet.Root, path).StartsWith('s'));
        found.Should().Contain(here);
    }

    [Fact]
    public void Links_are_found_in_a_text() =>
        LinksOf("[a](b.md) ![c](d.png) [e](f.md#g-h) [i](#j) [k](https://example.com/l) `[m](n.md)`\n```csharp\nx[o](p);\n```\n")
            .Should().Equal(("b.md", ""), ("d.png", ""), ("f.md", "g-h"), ("", "j"));

    [Fact]
    public void Anchor_of_a_heading_is_the_one_that_a_browser_finds() =>
        AnchorsOf("# A title\n## `MapKvApi()`: the REST API\n").Should().Equal("a-title", "mapkvapi-the-rest-api");

    private static IEnumerable<(string File, string Heading)> LinksOf(string markdown) =>
        Link().Matches(Code().Replace(markdown, "")).Select(match => match.Groups["to"].Value)
            .Where(to => !to.Contains(':', StringComparison.Ordinal))
            .Select(to => to.Split('#', 2)).Select(parts => (parts[0], parts.Length > 1 ? parts[1] : ""));

    private static IEnumerable<string> AnchorsOf(string markdown) => Heading().Matches(markdown)
        .Select(match => NotInAnchors().Replace(match.Groups["text"].Value.ToLowerInvariant(), "").Replace(' ', '-'));

    [GeneratedRegex(@"\]\((?<to>[^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^```.*?^```|`[^`\n]*`", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex(@"^#+ (?<text>.*)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchors();
}
