using System.Globalization;
using ScottPlot;

namespace KvStore.Comparisons.Latency;

/// <summary>
/// Percentile curves as an SVG. The x axis is the share of requests, ten times rarer at each step. The y axis is the time, ten times
/// longer at each step.
/// </summary>
internal static class PercentilePlot
{
    private const int Width = 860;
    private const int Height = 460;
    private const int Nines = 5;

    /// <summary>The shares that are drawn: 40 to each power of ten.</summary>
    public static double[] Shares { get; } = [.. Enumerable.Range(0, (Nines * 40) + 1).Select(step => 1 - Math.Pow(10, -step / 40.0))];

    public static void Save(IReadOnlyList<LatencyResult> results, string path)
    {
        using var plot = new Plot();
        plot.Title("Time of a read, by how rare it is");
        foreach (var result in results)
        {
            var curve = plot.Add.ScatterLine(
                Array.ConvertAll(Shares, static share => -Math.Log10(1 - share)),
                Array.ConvertAll(Shares, share => Math.Log10(Math.Max(1, result.Percentile(share)))));
            curve.LegendText = result.Name;
            curve.LineWidth = result.Name == "KvStore" ? 3 : 1.5f;
        }

        plot.Axes.Bottom.SetTicks(
            [.. Enumerable.Range(0, Nines + 1).Select(nine => (double)nine)],
            [.. Enumerable.Range(0, Nines + 1).Select(nine => nine == 0 ? "fastest" : $"p{100 - Math.Pow(10, 2 - nine):0.####}")]);
        double[] exponents = [.. Enumerable.Range(0, 11).Select(exponent => (double)exponent)];
        plot.Axes.Left.SetTicks(exponents, Array.ConvertAll(exponents, Label));
        plot.ShowLegend(Edge.Right);
        plot.SaveSvg(path, Width, Height);
    }

    private static string Label(double exponent) => (int)exponent switch
    {
        < 3 => Time(exponent, "ns"),
        < 6 => Time(exponent - 3, "µs"),
        < 9 => Time(exponent - 6, "ms"),
        _ => Time(exponent - 9, "s"),
    };

    private static string Time(double exponent, string unit) => string.Create(CultureInfo.InvariantCulture, $"{Math.Pow(10, exponent):0} {unit}");
}
