using System.Diagnostics;

namespace KvStore.Comparisons.Compare;

/// <summary>The progress of a run: one line that is overwritten on a terminal, otherwise one line for each part.</summary>
internal sealed class Progress(int parts)
{
    private const int BarWidth = 30;

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private int _part = -1;
    private string _name = "";

    /// <summary>Begins the next part.</summary>
    public void Begin(string name)
    {
        _part++;
        _name = name;
        if (Console.IsErrorRedirected)
        {
            Console.Error.WriteLine(Line(0, ""));
        }
    }

    /// <summary>Shows how much of the part is done, on a terminal.</summary>
    public void Show(double done, string what)
    {
        if (!Console.IsErrorRedirected)
        {
            Console.Error.Write($"\r{Line(done, what),-110}");
        }
    }

    /// <summary>Clears the line for other output.</summary>
    public static void Clear()
    {
        if (!Console.IsErrorRedirected)
        {
            Console.Error.Write($"\r{"",-110}\r");
        }
    }

    private string Line(double done, string what)
    {
        var all = (_part + Math.Clamp(done, 0, 1)) / parts;
        var filled = (int)(all * BarWidth);
        var elapsed = _clock.Elapsed;
        return $"[{new string('#', filled)}{new string('.', BarWidth - filled)}] {all,4:P0} {(int)elapsed.TotalMinutes}:{elapsed.Seconds:00} {_name} {what}";
    }
}
