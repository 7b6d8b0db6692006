using System.Globalization;
using System.Text;

namespace KvStore.Dashboard.Markup;

/// <summary>
/// Shows all characters of a text, also those that cannot be seen: control characters, marks that change the direction of writing,
/// characters without width, and spaces at the ends.
/// </summary>
internal static class VisibleText
{
    // The names in ASCII: not every font has symbols for them.
    private static readonly string[] s_controls =
    [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI",
        "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
    ];

    /// <summary>A text on one line, for example a key.</summary>
    public static Html Of(string text) => Of(text, isMultiline: false);

    /// <summary>A text of several lines: its line breaks and tabs stay.</summary>
    public static Html OfLines(string text) => Of(text, isMultiline: true);

    /// <summary>Plain text for titles and labels. A long text is cut off.</summary>
    public static string Plain(string text, int charsMax = 80)
    {
        var plain = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (plain.Length >= charsMax)
            {
                return plain.Append('…').ToString();
            }

            plain.Append(SignOf(rune) is { } sign ? $"[{sign}]" : rune.ToString());
        }

        return plain.ToString();
    }

    private static Html Of(string text, bool isMultiline)
    {
        var parts = new List<Html>();
        var plainFrom = 0;
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            var length = rune.Utf16SequenceLength;
            var sign = isMultiline && rune.Value is '\n' or '\t' ? null
                : !isMultiline && rune.Value == ' ' && (at == 0 || at == text.Length - 1) ? "SP"
                : SignOf(rune);
            if (sign is not null)
            {
                parts.Add(Html.Text(text[plainFrom..at]));
                parts.Add(Html.Of($"""<span class="sign" title="{NameOf(rune)}">{sign}</span>"""));
                plainFrom = at + length;
            }

            at += length;
        }

        return parts.Count == 0 ? Html.Text(text) : Html.Concat(parts.Append(Html.Text(text[plainFrom..])));
    }

    // The sign that is shown in place of a character; null for the character itself.
    private static string? SignOf(Rune rune) => rune.Value switch
    {
        < 0x20 => s_controls[rune.Value],
        0x7F => "DEL",
        0xA0 => "NBSP",
        _ => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            ? NameOf(rune)
            : null,
    };

    private static string NameOf(Rune rune) => string.Create(CultureInfo.InvariantCulture, $"U+{rune.Value:X4}");
}
