using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Json;

/// <summary>A name that stands for a property of another name.</summary>
/// <param name="Start">Where the name begins in the text, with its quote.</param>
/// <param name="Length">Its length in bytes, with both quotes.</param>
/// <param name="Property">The property.</param>
internal readonly record struct JsonNameReplacement(int Start, int Length, JsonNames.Property Property);

/// <summary>A JSON text in which names were replaced.</summary>
internal sealed class RenamedJson
{
    private readonly List<JsonNameReplacement> _replacements;
    private readonly byte[] _utf8;

    /// <summary>Replaces names.</summary>
    /// <param name="utf8">The text.</param>
    /// <param name="replacements">What to replace, in any order. The list is kept.</param>
    public RenamedJson(ReadOnlySpan<byte> utf8, List<JsonNameReplacement> replacements)
    {
        replacements.Sort(static (left, right) => left.Start.CompareTo(right.Start));
        _replacements = replacements;
        _utf8 = new byte[utf8.Length + replacements.Sum(static replacement => replacement.Property.Quoted.Length - replacement.Length)];
        var (read, written) = (0, 0);
        foreach (var (start, length, property) in replacements)
        {
            Append(utf8[read..start]);
            Append(property.Quoted);
            read = start + length;
        }

        Append(utf8[read..]);

        void Append(ReadOnlySpan<byte> part)
        {
            part.CopyTo(_utf8.AsSpan(written));
            written += part.Length;
        }
    }

    /// <summary>Reads the text.</summary>
    /// <exception cref="JsonException">The text does not fit. The position in the exception is that in the text before names were
    /// replaced.</exception>
    public T? Deserialize<T>(JsonTypeInfo<T> jsonTypeInfo)
    {
        try
        {
            return JsonSerializer.Deserialize(_utf8, jsonTypeInfo);
        }
        catch (JsonException e) when (e is { LineNumber: { } line, BytePositionInLine: { } position })
        {
            throw new JsonException(e.Message, e.Path, line, OriginalPosition(line, position), e.InnerException);
        }
    }

    // Names have no line breaks, so the line stays.
    private long OriginalPosition(long line, long position)
    {
        var lineStart = 0;
        for (; line > 0; line--)
        {
            lineStart += _utf8.AsSpan(lineStart).IndexOf((byte)'\n') + 1;
        }

        var shift = 0;
        var original = position;
        foreach (var (start, length, property) in _replacements)
        {
            var renamedStart = start + shift;
            if (renamedStart >= lineStart + position)
            {
                break;
            }

            var growth = property.Quoted.Length - length;
            shift += growth;
            original -= renamedStart >= lineStart ? growth : 0;
        }

        return original;
    }
}
