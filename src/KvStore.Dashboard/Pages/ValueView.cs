using System.Globalization;
using System.Text;
using KvStore.Dashboard.Entries;
using KvStore.Dashboard.Markup;
using KvStore.Dashboard.Requests;

namespace KvStore.Dashboard.Pages;

/// <summary>A value as text, as JSON or byte by byte.</summary>
internal static class ValueView
{
    private const int RowBytes = 16;

    private static readonly (string Name, string Title)[] s_views = [("text", "Text"), ("json", "JSON"), ("hex", "Hex")];

    /// <summary>The value in the view that the address names, or else in the view that suits it best.</summary>
    public static Html Render(Visit visit, string key, ValuePreview value)
    {
        var json = value is { IsText: true, IsWhole: true } && LooksLikeJson(value.Bytes.Span) ? JsonMarkup.Of(value.Bytes.Span) : null;
        var asked = visit.Query("view");
        var view = s_views.Any(v => v.Name == asked) ? asked : json is not null ? "json" : value.IsText ? "text" : "hex";
        var shown = view switch
        {
            "json" => json ?? JsonMarkup.Of(value.IsWhole ? value.Bytes.Span : default),
            "text" when value.IsText => VisibleText.OfLines(value.Text),
            "hex" => Html.Text(Hex(value.Bytes.Span)),
            _ => null,
        };
        return Html.Of($"""
            <div class="value">
            <nav class="views" aria-label="View">
            {s_views.Select(v => View(visit, key, v, v.Name == view))}
            </nav>
            {Body(shown, view, value)}
            </div>

            """);
    }

    private static Html View(Visit visit, string key, (string Name, string Title) view, bool isCurrent) => isCurrent
        ? Html.Of($"""<a href="{visit.Links.Entry(visit.Id, key, view.Name)}" aria-current="true">{view.Title}</a>""")
        : Html.Of($"""<a href="{visit.Links.Entry(visit.Id, key, view.Name)}">{view.Title}</a>""");

    private static Html Body(Html? shown, string view, ValuePreview value)
    {
        if (value.Length == 0)
        {
            return Html.Of($"""<p class="muted pad">The value is empty.</p>""");
        }

        if (shown is not { } html)
        {
            return view == "text" ? Html.Of($"""<p class="muted pad">This value is not text in UTF-8.</p>""")
                : value.IsWhole ? Html.Of($"""<p class="muted pad">This value is not JSON.</p>""")
                : Html.Of($"""<p class="muted pad">This value is too long to be shown as JSON.</p>""");
        }

        return Html.Of($"""
            <pre class="{view}" tabindex="0" aria-label="Value">
            {html}</pre>
            {(value.IsWhole ? default : Html.Of($"""<p class="muted pad">Shown: the first {Format.Count(value.Bytes.Length)} of {Format.Count(value.Length)} bytes.</p>"""))}
            """);
    }

    // A bare number or word is JSON too, but reads better as text.
    private static bool LooksLikeJson(ReadOnlySpan<byte> bytes) => bytes.TrimStart(" \t\r\n"u8) is [(byte)'{' or (byte)'[', ..];

    private static string Hex(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder((bytes.Length / RowBytes * 80) + 80);
        for (var offset = 0; offset < bytes.Length; offset += RowBytes)
        {
            var row = bytes[offset..Math.Min(bytes.Length, offset + RowBytes)];
            text.Append(offset.ToString("x8", CultureInfo.InvariantCulture)).Append(' ');
            for (var i = 0; i < RowBytes; i++)
            {
                text.Append(i % 8 == 0 ? " " : "");
                text.Append(i < row.Length ? row[i].ToString("x2", CultureInfo.InvariantCulture) : "  ").Append(' ');
            }

            text.Append(" |");
            foreach (var b in row)
            {
                text.Append(b is >= 0x20 and < 0x7F ? (char)b : '.');
            }

            text.Append("|\n");
        }

        return text.ToString();
    }
}
