using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace KvStore.Dashboard.Markup;

/// <summary>
/// A piece of HTML. It can only be made from literals in this code and from text, which is encoded, so data never becomes markup.
/// Immutable.
/// </summary>
internal readonly struct Html
{
    private readonly string? _markup;

    private Html(string markup) => _markup = markup;

    /// <summary>The markup.</summary>
    public override string ToString() => _markup ?? "";

    /// <summary>Makes HTML from an interpolated string. Its arguments are encoded, unless they are HTML themselves.</summary>
    public static Html Of(Template markup) => new(markup.ToMarkup());

    /// <summary>Text, encoded.</summary>
    public static Html Text(string? text) => new(Encode(text));

    /// <summary>Several pieces, one after the other.</summary>
    public static Html Concat(IEnumerable<Html> parts)
    {
        var markup = new StringBuilder();
        foreach (var part in parts)
        {
            markup.Append(part._markup);
        }

        return new Html(markup.ToString());
    }

    private static string Encode(string? text) => string.IsNullOrEmpty(text) ? "" : Encoder.Value.Encode(text);

    /// <summary>
    /// Builds HTML from an interpolated string. Only the compiler calls it with strings that are not encoded: the literals.
    /// </summary>
    [InterpolatedStringHandler]
    internal readonly struct Template(int literalLength, int formattedCount)
    {
        private readonly StringBuilder _markup = new(literalLength + (16 * formattedCount));

        public void AppendLiteral(string literal) => _markup.Append(literal);

        public void AppendFormatted(string? text) => _markup.Append(Encode(text));

        public void AppendFormatted(Html html) => _markup.Append(html._markup);

        public void AppendFormatted(IEnumerable<Html> parts)
        {
            foreach (var part in parts)
            {
                _markup.Append(part._markup);
            }
        }

        public void AppendFormatted(int number) => _markup.Append(CultureInfo.InvariantCulture, $"{number}");

        public void AppendFormatted(long number) => _markup.Append(CultureInfo.InvariantCulture, $"{number}");

        public string ToMarkup() => _markup.ToString();
    }

    private static class Encoder
    {
        // Encodes nothing beyond ASCII but characters that cannot be seen.
        public static readonly HtmlEncoder Value = HtmlEncoder.Create(UnicodeRanges.All);
    }
}
