using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace KvStore.Dashboard.Entries;

/// <summary>The beginning of a value, which is all that a page shows of it. The rest is not read.</summary>
internal sealed class ValuePreview
{
    /// <summary>The most bytes that are shown.</summary>
    public const int BytesMax = 64 * 1024;

    /// <summary>The longest value that is edited in a page.</summary>
    public const int EditBytesMax = 256 * 1024;

    private ValuePreview(ReadOnlyMemory<byte> bytes, int length)
    {
        Bytes = bytes;
        Length = length;
        TextBytes = IsWhole ? bytes.Length : bytes.Length - CutOff(bytes.Span);
        IsText = Utf8.IsValid(bytes.Span[..TextBytes]);
    }

    /// <summary>The bytes that are shown.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The length of the whole value.</summary>
    public int Length { get; }

    public bool IsWhole => Bytes.Length == Length;

    /// <summary>Whether the bytes that are shown are UTF-8.</summary>
    public bool IsText { get; }

    /// <summary>How many of the bytes are whole characters.</summary>
    private int TextBytes { get; }

    public string Text => Encoding.UTF8.GetString(Bytes.Span[..TextBytes]);

    /// <summary>Reads the beginning of a value: of a large one, only that much of its file.</summary>
    public static async ValueTask<ValuePreview> OfAsync(KvValue value, int bytesMax, CancellationToken cancellationToken)
    {
        if (!value.IsLarge)
        {
            var whole = value.GetBytes();
            return new ValuePreview(whole[..Math.Min(whole.Length, bytesMax)], whole.Length);
        }

        var bytes = new byte[Math.Min(value.Length, bytesMax)];
        var stream = value.OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(bytes, cancellationToken).ConfigureAwait(false);
        }

        return new ValuePreview(bytes, value.Length);
    }

    /// <summary>
    /// Whether a browser sends a text back as it was: it has no characters that HTML replaces, and line breaks of one kind.
    /// </summary>
    public static bool IsEditable(string text, out bool hasCrLf)
    {
        var crLf = text.AsSpan().Count("\r\n");
        hasCrLf = crLf > 0;
        var isOneKind = text.AsSpan().Count('\r') == crLf && (crLf == 0 || text.AsSpan().Count('\n') == crLf);
        return isOneKind && !text.AsSpan().ContainsAnyExcept(s_kept);
    }

    // All UTF-16 units but the control characters that HTML replaces or drops. Surrogates are among them: the text is valid.
    private static readonly SearchValues<char> s_kept = SearchValues.Create(
        [.. Enumerable.Range(0, 0x10000).Select(c => (char)c).Where(c => c is '\t' or '\n' or '\r' || !(char.IsControl(c) || c is '\uFFFE' or '\uFFFF'))]);

    // How many bytes at the end are the beginning of a character that the preview cuts off.
    private static int CutOff(ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            var b = bytes[^back];
            if ((b & 0xC0) != 0x80)
            {
                var needed = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : b >= 0xC0 ? 2 : 1;
                return needed > back ? back : 0;
            }
        }

        return 0;
    }
}
