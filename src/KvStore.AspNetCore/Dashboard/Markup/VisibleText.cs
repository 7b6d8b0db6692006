using System.Globalization;
using System.Text;

namespace KvStore.Dashboard.Markup;

/// <summary>
/// Text that may hold anything, such that everything in it can be seen: control characters, marks that turn the direction of
/// writing, characters without width, and spaces at the ends.
/// </summary>
internal static class VisibleText
{
    /// <summary>A key, on one line.</summary>
    public static Html Of(string text) => Of(text, isMultiline: false);

    /// <summary>A value: its line breaks and tabs stay what they are.</summary>
    public static Html OfLines(string text) => Of(text, isMultiline: true);

    /// <summary>The same as plain text, for titles and labels; shortened if it is long.</summary>
    public static string Plain(string text, int charsMax = 80)
    {
        var plain = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (plain.Length >= charsMax)
            {
                return plain.Append('…').ToString();
            }

            plain.Append(SignOf(rune) ?? rune.ToString());
        }

        return plain.ToString();
    }

    /// <summary>Whether some character could not be told apart from another, or seen at all.</summary>
    public static bool HasInvisible(string text) => text.EnumerateRunes().Any(rune => SignOf(rune) is not null);

    private static Html Of(string text, bool isMultiline)
    {
        var parts = new List<Html>();
        var plainFrom = 0;
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            var length = rune.Utf16SequenceLength;
            var sign = isMultiline && rune.Value is '\n' or '\t' ? null
                : !isMultiline && rune.Value == ' ' && (at == 0 || at == text.Length - 1) ? "␠"
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

    // What is shown in place of a character, or null for the character itself.
    private static string? SignOf(Rune rune) => rune.Value switch
    {
        < 0x20 => ((char)(0x2400 + rune.Value)).ToString(),
        0x7F => "␡",
        0xA0 => "⍽",
        _ => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
            ? NameOf(rune)
            : null,
    };

    private static string NameOf(Rune rune) => string.Create(CultureInfo.InvariantCulture, $"U+{rune.Value:X4}");
}
