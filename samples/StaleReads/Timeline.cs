using System.Globalization;

namespace StaleReads;

/// <summary>What each region saw when, as lines of text.</summary>
internal sealed class Timeline(string[] regions, TimeSpan step, Write[] writes)
{
    private const int BarColumns = 30;
    private readonly Dictionary<string, List<string?>> _seen = regions.ToDictionary(region => region, _ => new List<string?>());
    private readonly Dictionary<(string Region, string Value), TimeSpan> _firstSeen = [];

    /// <summary>Records the result of a read in a region.</summary>
    public void Note(string region, TimeSpan at, string? value)
    {
        _seen[region].Add(value);
        if (value is not null)
        {
            _firstSeen.TryAdd((region, value), at);
        }
    }

    /// <summary>How long after a write a region saw it for the first time; null when it never did.</summary>
    public TimeSpan? LagOf(string region, Write write) =>
        _firstSeen.TryGetValue((region, write.Value), out var at) ? at - write.At : null;

    public void Draw(string title, TextWriter output)
    {
        output.WriteLine(title);
        output.WriteLine();
        output.WriteLine($"  {"",-5} {Ruler()}");
        foreach (var region in regions)
        {
            output.WriteLine($"  {region,-5} {string.Concat(_seen[region].Select(Cell))}");
        }

        output.WriteLine();
        output.WriteLine($"  a column is {Text(step)}: · no such key, 1 sees {writes[0].Value}, 2 sees {writes[1].Value}, and so on");
        output.WriteLine();
        DrawLags(output);
        output.WriteLine();
    }

    private void DrawLags(TextWriter output)
    {
        var longest = writes.SelectMany(write => regions.Select(region => LagOf(region, write) ?? TimeSpan.Zero)).Append(step).Max();
        output.WriteLine($"  {"written",-16} {"seen in",-8} {"after",10}");
        foreach (var write in writes)
        {
            foreach (var region in regions)
            {
                var what = region == regions[0] ? $"{write.Value} at {Text(write.At)}" : "";
                var line = LagOf(region, write) is { } lag
                    ? $"{Text(lag),10} {new string('█', (int)Math.Ceiling(lag / longest * BarColumns))}"
                    : $"{"never",10}";
                output.WriteLine($"  {what,-16} {region,-8} {line}".TrimEnd());
            }
        }
    }

    // A mark and the time at every tenth column.
    private string Ruler()
    {
        var ruler = new char[_seen[regions[0]].Count + 10];
        Array.Fill(ruler, ' ');
        for (var column = 0; column < _seen[regions[0]].Count; column += 10)
        {
            $"|{Text(step * column)}".CopyTo(0, ruler, column, Math.Min(Text(step * column).Length + 1, 9));
        }

        return new string(ruler).TrimEnd();
    }

    private char Cell(string? value) => value is null ? '·' : (char)('1' + Array.FindIndex(writes, write => write.Value == value));

    private static string Text(TimeSpan time) => time < TimeSpan.FromSeconds(2) && time.Ticks % TimeSpan.TicksPerSecond != 0
        ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0} ms")
        : string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0} s");
}
