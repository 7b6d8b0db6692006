using System.Globalization;
using System.Security;
using System.Text;

namespace KvStore.Comparisons.Latency;

/// <summary>
/// Percentile curves as an SVG: to the right the share of requests, each step ten times rarer; upwards the time, each step
/// ten times longer. Readable on light and dark pages.
/// </summary>
internal static class PercentilePlot
{
    private const int Width = 860;
    private const int Height = 460;
    private const int Left = 70;
    private const int Right = 230;
    private const int Top = 50;
    private const int Bottom = 50;
    private const double Nines = 5;

    private static readonly string[] s_colors = ["#e4572e", "#4a7fb5", "#7a9e45", "#b07aa1", "#c99700", "#5aa9a6", "#8c8c8c"];

    /// <summary>The shares that are drawn: 40 to each power of ten.</summary>
    public static double[] Shares { get; } = [.. Enumerable.Range(0, (int)(Nines * 40) + 1).Select(step => 1 - Math.Pow(10, -step / 40.0))];

    public static string Draw(IReadOnlyList<LatencyResult> results)
    {
        var all = results.SelectMany(result => Shares.Select(result.Percentile)).Where(time => time > 0).DefaultIfEmpty(1).ToArray();
        var bottom = Math.Floor(Math.Log10(all.Min()));
        var top = Math.Max(bottom + 1, Math.Ceiling(Math.Log10(all.Max())));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="13">
            <rect width="{Width}" height="{Height}" fill="#ffffff"/>
            <text x="{Left}" y="26" font-size="16" fill="#222">Time of a read, by how rare it is</text>

            """);
        for (var nine = 0; nine <= Nines; nine++)
        {
            var label = nine == 0 ? "fastest" : nine == 1 ? "p90" : nine == 2 ? "p99" : $"p99.{new string('9', nine - 2)}";
            svg.Append(CultureInfo.InvariantCulture, $"""
                <line x1="{X(nine):0.#}" y1="{Top}" x2="{X(nine):0.#}" y2="{Height - Bottom}" stroke="#ddd"/>
                <text x="{X(nine):0.#}" y="{Height - Bottom + 22}" text-anchor="middle" fill="#444">{label}</text>

                """);
        }

        for (var exponent = bottom; exponent <= top; exponent++)
        {
            var y = Y(exponent, bottom, top);
            svg.Append(CultureInfo.InvariantCulture, $"""
                <line x1="{Left}" y1="{y:0.#}" x2="{Width - Right}" y2="{y:0.#}" stroke="#ddd"/>
                <text x="{Left - 8}" y="{y + 4:0.#}" text-anchor="end" fill="#444">{Label(exponent)}</text>

                """);
        }

        var labels = Spread(results, bottom, top);
        for (var i = 0; i < results.Count; i++)
        {
            var color = s_colors[i % s_colors.Length];
            var points = string.Join(' ', Shares.Select(share => string.Create(
                CultureInfo.InvariantCulture,
                $"{X(-Math.Log10(1 - share)):0.#},{Y(Math.Log10(Math.Max(1, results[i].Percentile(share))), bottom, top):0.#}")));
            svg.Append(CultureInfo.InvariantCulture, $"""
                <polyline points="{points}" fill="none" stroke="{color}" stroke-width="{(results[i].Name == "KvStore" ? 3 : 1.8)}" stroke-linejoin="round"/>
                <text x="{Width - Right + 10}" y="{labels[i] + 4:0.#}" fill="{color}">{SecurityElement.Escape(results[i].Name)}</text>

                """);
        }

        return svg.Append("</svg>\n").ToString();
    }

    // Names beside the ends of their curves, moved apart where they would lie on each other.
    private static double[] Spread(IReadOnlyList<LatencyResult> results, double bottom, double top)
    {
        const double LineHeight = 17;
        var wanted = results.Select(result => Y(Math.Log10(Math.Max(1, result.Percentile(Shares[^1]))), bottom, top)).ToArray();
        var placed = new double[wanted.Length];
        var last = double.NegativeInfinity;
        foreach (var index in Enumerable.Range(0, wanted.Length).OrderBy(index => wanted[index]))
        {
            last = placed[index] = Math.Max(wanted[index], last + LineHeight);
        }

        return placed;
    }

    private static double X(double nines) => Left + (nines / Nines * (Width - Left - Right));

    private static double Y(double exponent, double bottom, double top) =>
        Height - Bottom - ((exponent - bottom) / (top - bottom) * (Height - Top - Bottom));

    private static string Label(double exponent) => (int)exponent switch
    {
        < 3 => $"{Math.Pow(10, exponent):0} ns",
        < 6 => $"{Math.Pow(10, exponent - 3):0} µs",
        < 9 => $"{Math.Pow(10, exponent - 6):0} ms",
        _ => $"{Math.Pow(10, exponent - 9):0} s",
    };
}
