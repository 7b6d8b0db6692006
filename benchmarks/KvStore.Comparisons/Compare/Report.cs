using System.Globalization;
using System.Runtime.InteropServices;

namespace KvStore.Comparisons.Compare;

/// <summary>The report: tables in the order of the measurements, and the numbers of the summary.</summary>
internal sealed class Report(CompareOptions options)
{
    private const string Begin = "<!-- compare: begin -->";
    private const string End = "<!-- compare: end -->";

    private readonly List<ResultTable> _tables = [];
    private readonly Dictionary<(string Peer, string Column), string> _summary = [];
    private readonly List<string> _summaryPeers = [];
    private readonly List<string> _summaryColumns = [];

    public void Add(ResultTable table)
    {
        _tables.Add(table);
        table.Print(Console.Out);
    }

    /// <summary>Adds a number to the summary.</summary>
    public void Summarize(string contender, string column, string cell)
    {
        // A line for the store under test, read like the other stores, and two more for the methods that programs call most.
        var peer = contender switch
        {
            "KvStore TryGet" or "KvStore ListAsync" => "KvStore",
            "KvStore TryGet UTF-8" or "KvStore GetAsync" or "sorted array (strings exist)" => null,
            _ => contender,
        };
        if (peer is null)
        {
            return;
        }

        if (!_summaryPeers.Contains(peer))
        {
            _summaryPeers.Add(peer);
        }

        if (!_summaryColumns.Contains(column))
        {
            _summaryColumns.Add(column);
        }

        _summary[(peer, column)] = cell;
    }

    /// <summary>Writes all tables to a file, and the summary between the marks of another file when the options name one.</summary>
    public void Write()
    {
        var path = Path.Combine(options.OutputDirectory, "compare.md");
        Directory.CreateDirectory(options.OutputDirectory);
        using (var writer = new StreamWriter(path))
        {
            writer.WriteLine("# Side by side");
            writer.WriteLine();
            writer.WriteLine(Conditions());
            if (_summaryPeers.Count > 0)
            {
                writer.WriteLine();
                writer.Write(Summary());
            }

            foreach (var table in _tables)
            {
                table.WriteMarkdown(writer);
            }
        }

        Console.WriteLine();
        Console.WriteLine($"Written to {path}.");
        if (options.EmbedInto is { } embedding)
        {
            Embed(embedding);
        }
    }

    private string Conditions() =>
        $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} processors, "
        + $"{DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}. All in one process, in turn; medians of {options.Rounds} rounds. "
        + $"Keys of 24 characters, values of {Workload.ValueBytes} bytes, access by fresh strings. \"x\" is the ratio to ConcurrentDictionary, or else to "
        + "the line where it is 1.00, round by round.";

    private string Summary()
    {
        var table = new ResultTable("", [.. _summaryColumns]);
        foreach (var peer in _summaryPeers)
        {
            table.Add(peer, [.. _summaryColumns.Select(column => _summary.GetValueOrDefault((peer, column), ""))]);
        }

        using var writer = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        table.WriteMarkdownRows(writer);
        return writer.ToString();
    }

    private void Embed(string path)
    {
        var text = File.ReadAllText(path);
        var begin = text.IndexOf(Begin, StringComparison.Ordinal);
        var end = text.IndexOf(End, StringComparison.Ordinal);
        if (begin < 0 || end < begin)
        {
            throw new ArgumentException($"{path} has no {Begin} and {End} to put the summary between.");
        }

        begin += Begin.Length;
        File.WriteAllText(path, $"{text[..begin]}\n{Conditions()}\n\n{Summary()}{text[end..]}");
        Console.WriteLine($"Summary put into {path}.");
    }
}
