namespace KvStore.Wrangler;

/// <summary>Where the lines of a text begin. A line ends at CR, LF or CR LF and at nothing else: U+2028 stands in a line like a letter.</summary>
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

    /// <summary>The position of a part of the text. What lies behind the end of the text is taken back to it.</summary>
    public FilePosition At(int offset, int length = 0)
    {
        offset = Math.Min(Math.Max(offset, 0), _length);
        length = Math.Min(Math.Max(length, 0), _length - offset);
        var line = _starts.BinarySearch(offset);
        line = line >= 0 ? line : ~line - 1;
        return new FilePosition(offset, length, line + 1, offset - _starts[line] + 1);
    }
}
