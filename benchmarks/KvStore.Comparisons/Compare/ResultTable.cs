using System.Globalization;

namespace KvStore.Comparisons.Compare;

/// <summary>One measured round.</summary>
internal readonly record struct Sample(double Nanoseconds, double AllocatedBytes);

/// <summary>A table of the report, with a line for each contender. The cells are text.</summary>
internal sealed class ResultTable(string title, params string[] columns)
{
    private readonly List<(string Name, string[] Cells)> _rows = [];

    /// <summary>Adds a line. The line of a missing store has a single cell with the reason.</summary>
    public void Add(string name, params string[] cells) => _rows.Add((name, cells));

    public void Print(TextWriter writer)
    {
        writer.WriteLine();
        writer.WriteLine(title);
        writer.WriteLine($"  {"",-34} {string.Join(' ', columns.Select(c => $"{c,13}"))}");
        foreach (var (name, cells) in _rows)
        {
            writer.WriteLine($"  {name,-34} {string.Join(' ', cells.Select(c => $"{c,13}"))}");
        }
    }

    public void WriteMarkdown(TextWriter writer)
    {
        writer.WriteLine();
        writer.WriteLine($"### {char.ToUpperInvariant(title[0])}{title[1..]}");
        writer.WriteLine();
        WriteMarkdownRows(writer);
    }

    public void WriteMarkdownRows(TextWriter writer)
    {
        writer.WriteLine($"| | {string.Join(" | ", columns)} |");
        writer.WriteLine($"|---|{string.Concat(columns.Select(_ => "---:|"))}");
        foreach (var (name, cells) in _rows)
        {
            var bold = name.StartsWith("KvStore", StringComparison.Ordinal) ? "**" : "";
            var all = cells.Concat(Enumerable.Repeat("", columns.Length - cells.Length));
            writer.WriteLine($"| {bold}{name}{bold} | {string.Join(" | ", all)} |");
        }
    }

    /// <summary>A table of rounds: median, minimum, maximum, the ratio to the baseline round by round, allocation.</summary>
    public static ResultTable OfRounds(
        string title, string unit, double nanosecondsPerUnit, string baseline, IReadOnlyList<(string Name, Sample[] Rounds)> rows)
    {
        var table = new ResultTable(title, unit, "min", "max", "x", "allocated B");
        var reference = rows.FirstOrDefault(row => row.Name == baseline).Rounds;
        foreach (var (name, rounds) in rows)
        {
            var times = rounds.Select(round => round.Nanoseconds / nanosecondsPerUnit).ToArray();
            table.Add(
                name,
                Number(Median(times)),
                Number(times.Min()),
                Number(times.Max()),
                reference is null ? "" : Ratio(Median(rounds.Zip(reference, (a, b) => a.Nanoseconds / b.Nanoseconds))),
                Bytes(Median(rounds.Select(round => round.AllocatedBytes))));
        }

        return table;
    }

    /// <summary>The cells of a line.</summary>
    public string[] CellsOf(string name) => _rows.Find(row => row.Name == name).Cells;

    /// <summary>The median; of an even number of values, the mean of the two in the middle.</summary>
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    public static string Number(double value) =>
        value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "#,##0", CultureInfo.InvariantCulture);

    public static string Ratio(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);

    // Loops and delegates of the harness allocate a few bytes per thousand operations, which do not belong to the store.
    public static string Bytes(double value) => value < 0.05 ? "0" : value.ToString("#,##0.0", CultureInfo.InvariantCulture);
}
