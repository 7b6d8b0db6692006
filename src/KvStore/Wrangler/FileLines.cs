namespace KvStore.Wrangler;

/// <summary>The starts of the lines of a text. A line ends at CR, LF or CR LF only; U+2028 does not end a line.</summary>
internal sealed class FileLines
{
    private readonly List<int> _starts = [0];
    private readonly int _length;

    public FileLines(string text)
    {
        _length = text.Length;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\n' || (text[i] == '\r' && !(i + 1 < text.Length && text[i + 1] == '\n')))
            {
                _starts.Add(i + 1);
            }
        }
    }

    /// <summary>The position of a part of the text. A position after the end of the text is moved to the end.</summary>
    public FilePosition At(int offset, int length = 0)
    {
        offset = Math.Min(Math.Max(offset, 0), _length);
        length = Math.Min(Math.Max(length, 0), _length - offset);
        var line = _starts.BinarySearch(offset);
        line = line >= 0 ? line : ~line - 1;
        return new FilePosition(offset, length, line + 1, offset - _starts[line] + 1);
    }
}
