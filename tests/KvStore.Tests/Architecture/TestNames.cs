using System.Text.RegularExpressions;

namespace KvStore.Tests.Architecture;

/// <summary>The names of tests, as the sources of the test projects declare them and as the documents mention them.</summary>
internal static partial class TestNames
{
    private const int CharactersMax = 80;

    /// <summary>The test methods of a source file, in its order. A test attribute without a method yields an empty name.</summary>
    public static IEnumerable<string> DeclaredIn(string source)
    {
        var lines = source.Split('\n');
        return Enumerable.Range(0, lines.Length).Where(line => TestAttribute().IsMatch(lines[line]))
            .Select(line => lines.Skip(line + 1).Select(next => Method().Match(next)).FirstOrDefault(match => match.Success)?.Groups["name"].Value ?? "");
    }

    /// <summary>The tests that a document names: in code style, and with an underscore between their words.</summary>
    public static IEnumerable<string> MentionedIn(string markdown) => Mention().Matches(markdown).Select(match => match.Groups["name"].Value);

    /// <summary>The source files that a document names in code style, with as much of their path as it gives.</summary>
    public static IEnumerable<string> SourceFilesIn(string markdown) => SourceFile().Matches(markdown)
        .Select(match => match.Groups["path"].Value).Select(path => Folders().Replace(path, ""));

    /// <summary>The parts of full names by which a script chooses tests.</summary>
    public static IEnumerable<string> FiltersIn(string script) => Filter().Matches(script).Select(match => match.Groups["part"].Value);

    /// <summary>Whether a name says a situation and an outcome, in a length that a list of tests can show.</summary>
    public static bool IsAllowed(string name) => name.Length <= CharactersMax && SituationAndOutcome().IsMatch(name);

    [GeneratedRegex(@"^\s*\[\w*(?:Fact|Theory|Property)\b")]
    private static partial Regex TestAttribute();

    [GeneratedRegex(@"^\s*public (?:[\w<>?.,]+ )+(?<name>\w+)\(")]
    private static partial Regex Method();

    [GeneratedRegex("`(?<name>[A-Z]\\w*[a-z]\\w*_\\w+_\\w+)`")]
    private static partial Regex Mention();

    [GeneratedRegex(@"`(?<path>[\w./]+\.cs)`")]
    private static partial Regex SourceFile();

    [GeneratedRegex("^(?:src|tests|benchmarks|samples)/")]
    private static partial Regex Folders();

    [GeneratedRegex(@"FullyQualifiedName!?~(?<part>[\w.]+)")]
    private static partial Regex Filter();

    [GeneratedRegex("^(?!(?:It|One|What)_)[A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+$")]
    private static partial Regex SituationAndOutcome();
}
