using System.Text;

namespace KvStore.Rules;

/// <summary>How messages quote a key, a cursor or another short text of a caller: on one line, shortened, nothing in it invisible.</summary>
internal static class VisibleKey
{
    private const int CharsMax = 64;

    /// <summary>The text in quotes. Control characters, quotes and what is not a character are escaped; a long one is cut off.</summary>
    /// <param name="text">The text.</param>
    public static string Quote(ReadOnlySpan<char> text)
    {
        var quoted = new StringBuilder(Math.Min(text.Length, CharsMax) + 2).Append('"');
        while (!text.IsEmpty)
        {
            if (quoted.Length > CharsMax)
            {
                return quoted.Append('…').Append('"').Append(Invariant($" ({text.Length} more characters)")).ToString();
            }

            var isRune = Rune.DecodeFromUtf16(text, out var rune, out var length) == System.Buffers.OperationStatus.Done;
            if (!isRune)
            {
                quoted.Append(Invariant($"\\u{(int)text[0]:X4}"));
            }
            else if (rune.Value is '"' or '\\')
            {
                quoted.Append('\\').Append((char)rune.Value);
            }
            else if (IsVisible(rune))
            {
                quoted.Append(text[..length]);
            }
            else
            {
                foreach (var unit in text[..length])
                {
                    quoted.Append(Invariant($"\\u{(int)unit:X4}"));
                }
            }

            text = text[length..];
        }

        return quoted.Append('"').ToString();
    }

    /// <summary>Quotes a key in UTF-8.</summary>
    public static string Quote(ReadOnlySpan<byte> utf8) => Quote(Encoding.UTF8.GetString(utf8).AsSpan());

    // Also what turns the direction of the text after it, or breaks the line.
    private static bool IsVisible(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        System.Globalization.UnicodeCategory.Control
        or System.Globalization.UnicodeCategory.Format
        or System.Globalization.UnicodeCategory.LineSeparator
        or System.Globalization.UnicodeCategory.ParagraphSeparator
        or System.Globalization.UnicodeCategory.PrivateUse
        or System.Globalization.UnicodeCategory.OtherNotAssigned);
}
