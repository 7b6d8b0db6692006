using KvStore.Wrangler;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;

namespace KvStore.Generators.Model;

/// <summary>A place in a file, without the file's tree: that would keep a whole compilation alive between runs.</summary>
internal sealed record FileSpan(string Path, TextSpan Span, LinePositionSpan Lines)
{
    /// <summary>The place of a node or symbol in source; null when there is none.</summary>
    public static FileSpan? Of(Location? location) =>
        location?.SourceTree is { } tree ? new(tree.FilePath, location.SourceSpan, location.GetLineSpan().Span) : null;

    /// <summary>A place in a Wrangler file, which never spans lines that matter.</summary>
    public static FileSpan Of(string path, FilePosition position)
    {
        var start = new LinePosition(position.Line - 1, position.Column - 1);
        return new(path, new TextSpan(position.Offset, position.Length), new LinePositionSpan(start, new LinePosition(start.Line, start.Character + position.Length)));
    }

    public Location ToLocation() => Location.Create(Path, Span, Lines);
}
