using System.Globalization;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>The options of <c>compare</c>.</summary>
internal sealed class CompareOptions
{
    private string[] _filters = [];
    private string[] _only = [];
    private int[]? _keyCounts;

    public const string Usage =
        """
        compare [--filter get,evict,create,distributed,hybrid,put,watch,floor,list,scan,memory,threads,persist,postgresql,region,http,output] [--keys 1000,100000,1000000] [--rounds 5] [--only KvStore,LMDB]
                [--output artifacts/comparisons] [--embed README.md] [--short]

          --filter   only questions whose name contains one of these
          --keys     how many keys, in place of each question's own sizes
          --rounds   how often each contender runs; the tables show median, minimum and maximum
          --only     only stores whose name contains one of these, and ConcurrentDictionary
          --output   where compare.md goes
          --embed    a Markdown file whose part between "<!-- compare: begin -->" and "<!-- compare: end -->" becomes the summary
          --short    one round on few keys: shows that everything runs, and measures nothing
        """;

    public int Rounds { get; private set; } = 5;

    /// <summary>The path of the report.</summary>
    public string OutputDirectory { get; private set; } = Path.Combine("artifacts", "comparisons");

    /// <summary>A file that embeds the summary.</summary>
    public string? EmbedInto { get; private set; }

    public bool IsShort { get; private set; }

    /// <exception cref="ArgumentException">An argument is unknown or malformed.</exception>
    public static CompareOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new CompareOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--short":
                    options.IsShort = true;
                    options.Rounds = 1;
                    options._keyCounts = [1000];
                    break;
                case "--filter" when i + 1 < arguments.Length:
                    options._filters = arguments[++i].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                    break;
                case "--only" when i + 1 < arguments.Length:
                    options._only = arguments[++i].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                    break;
                case "--output" when i + 1 < arguments.Length:
                    options.OutputDirectory = arguments[++i];
                    break;
                case "--embed" when i + 1 < arguments.Length:
                    options.EmbedInto = arguments[++i];
                    break;
                case "--keys" when i + 1 < arguments.Length:
                    options._keyCounts = [.. arguments[++i].Split(',').Select(ParsePositive)];
                    break;
                case "--rounds" when i + 1 < arguments.Length:
                    options.Rounds = ParsePositive(arguments[++i]);
                    break;
                default:
                    throw new ArgumentException($"\"{arguments[i]}\" is not understood.\n{Usage}");
            }
        }

        return options;
    }

    public bool Asks(string question) =>
        _filters.Length == 0 || _filters.Any(filter => question.Contains(filter, StringComparison.OrdinalIgnoreCase));

    /// <summary>The selected stores of a list, and always the baseline of the ratios.</summary>
    public PeerSource[] Select(IEnumerable<PeerSource> sources) =>
        [.. sources.Where(source => _only.Length == 0 || source == PeerSource.ConcurrentDictionary
            || _only.Any(name => source.Name.Contains(name, StringComparison.OrdinalIgnoreCase)))];

    public int[] KeyCounts(params int[] ownSizes) => _keyCounts ?? ownSizes;

    private static int ParsePositive(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new ArgumentException($"\"{text}\" is not a positive number.\n{Usage}");
}
