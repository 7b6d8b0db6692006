using System.Globalization;

namespace KvStore.Benchmarks.Quick;

/// <summary>One measured round.</summary>
internal readonly record struct Sample(double Nanoseconds, double AllocatedBytes);

/// <summary>Prints rounds as one line per contender: median, minimum, maximum, the ratio to the baseline, allocation.</summary>
internal sealed class ResultTable(string title, string unit, string baseline)
{
    private readonly List<(string Name, Sample[] Rounds, double NanosecondsPerUnit)> _rows = [];

    public void Add(string name, Sample[] rounds, double nanosecondsPerUnit) => _rows.Add((name, rounds, nanosecondsPerUnit));

    public void Print()
    {
        Console.WriteLine();
        Console.WriteLine(title);
        Console.WriteLine($"  {"",-34} {unit,10} {"min",9} {"max",9} {"ratio",7} {"B/op",9}");
        var reference = _rows.Find(row => row.Name == baseline).Rounds;
        foreach (var (name, rounds, divisor) in _rows)
        {
            var times = rounds.Select(round => round.Nanoseconds / divisor).ToArray();
            var ratio = reference is null
                ? ""
                : Median(rounds.Zip(reference, (a, b) => a.Nanoseconds / b.Nanoseconds)).ToString("0.00", CultureInfo.InvariantCulture);
            var allocated = Median(rounds.Select(round => round.AllocatedBytes));
            Console.WriteLine(
                $"  {name,-34} {Number(Median(times)),10} {Number(times.Min()),9} {Number(times.Max()),9} {ratio,7} {Bytes(allocated),9}");
        }
    }

    /// <summary>The middle value; of an even number, the mean of the two in the middle.</summary>
    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    public static string Number(double value) =>
        value.ToString(value < 10 ? "0.00" : value < 100 ? "0.0" : "#,##0", CultureInfo.InvariantCulture);

    // Loops and delegates of the harness allocate a few bytes per thousand operations; that is not the store's.
    private static string Bytes(double value) => value < 0.05 ? "0" : value.ToString("#,##0.0", CultureInfo.InvariantCulture);
}
