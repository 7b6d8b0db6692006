using System.Runtime.CompilerServices;
using Xunit.Abstractions;

namespace KvStore.DocsTests;

/// <summary>A block of C# in a document.</summary>
public sealed class Snippet : IXunitSerializable
{
    /// <summary>Where it begins: <c>docs/http.md:7</c>.</summary>
    public string Place { get; private set; } = "";

    /// <summary>The document, from the root of the repository.</summary>
    public string Document => Place[..Place.LastIndexOf(':')];

    /// <summary>The line of the document before the first line of code.</summary>
    public int Line => int.Parse(Place[(Place.LastIndexOf(':') + 1)..], System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The code.</summary>
    public string Code { get; private set; } = "";

    /// <summary>What the document says that it prints: the next block, if that is of plain text; null where there is none.</summary>
    public string? Prints { get; private set; }

    /// <summary>The root of the repository.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Those of all Markdown in the root, in <c>docs</c> and beside the sources of packages and samples.</summary>
    public static IReadOnlyList<Snippet> All { get; } = [.. Documents().SelectMany(Of)];

    /// <summary>The snippets of a text.</summary>
    public static IEnumerable<Snippet> In(string document, IReadOnlyList<string> lines)
    {
        var found = new List<Snippet>();
        for (var i = 0; i < lines.Count; i++)
        {
            if (!lines[i].StartsWith("```", StringComparison.Ordinal))
            {
                continue;
            }

            var end = i + 1;
            while (end < lines.Count && !lines[end].StartsWith("```", StringComparison.Ordinal))
            {
                end++;
            }

            var language = lines[i][3..].Trim();
            var text = string.Join('\n', lines.Skip(i + 1).Take(end - i - 1));
            if (language is "csharp" or "cs" or "c#")
            {
                found.Add(new Snippet { Place = $"{document}:{i + 1}", Code = text });
            }
            else if (language == "text" && found.Count > 0 && found[^1].Prints is null)
            {
                found[^1].Prints = text;
            }

            i = end;
        }

        return found;
    }

    /// <summary>All Markdown in the root, in <c>docs</c> and beside the sources of packages and samples, by path below the root.</summary>
    public static IEnumerable<string> Documents() => new[] { ".", "docs", "src", "samples" }
        .Select(folder => Path.Combine(Root, folder))
        .SelectMany(folder => Directory.EnumerateFiles(
            folder, "*.md", folder == Path.Combine(Root, ".") ? SearchOption.TopDirectoryOnly : SearchOption.AllDirectories))
        .Select(file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
        .Where(file => !file.Contains("/bin/", StringComparison.Ordinal) && !file.Contains("/obj/", StringComparison.Ordinal))
        .Order(StringComparer.Ordinal);

    public void Deserialize(IXunitSerializationInfo info)
    {
        Place = info.GetValue<string>(nameof(Place));
        Code = info.GetValue<string>(nameof(Code));
        Prints = info.GetValue<string?>(nameof(Prints));
    }

    public void Serialize(IXunitSerializationInfo info)
    {
        info.AddValue(nameof(Place), Place);
        info.AddValue(nameof(Code), Code);
        info.AddValue(nameof(Prints), Prints);
    }

    public override string ToString() => Place;

    private static IEnumerable<Snippet> Of(string document) => In(document, File.ReadAllLines(Path.Combine(Root, document)));

    private static string FindRoot([CallerFilePath] string thisFile = "")
    {
        // Where sources have other paths in the symbols, the tests still run from below the repository.
        for (var folder = File.Exists(thisFile) ? Path.GetDirectoryName(thisFile) : AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "KvStore.sln")))
            {
                return folder;
            }
        }

        throw new InvalidOperationException("The tests of the documents run in the repository.");
    }
}
