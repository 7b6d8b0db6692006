using System.Globalization;

namespace KvStore.Benchmarks.Quick;

/// <summary>What <c>quick</c> was asked to measure.</summary>
internal sealed class QuickOptions
{
    private string[] _filters = [];
    private int[]? _keyCounts;

    public const string Usage =
        """
        quick [--filter get,put,list,memory,gc,threads,persist,region,http] [--keys 1000,100000,1000000] [--rounds 7] [--short]

          --filter   only questions whose name contains one of these
          --keys     how many keys, in place of each question's own sizes
          --rounds   how often each contender runs; the table shows median, minimum and maximum
          --short    one round on few keys: shows that everything runs, and measures nothing
        """;

    public int Rounds { get; private set; } = 7;

    public bool IsShort { get; private set; }

    /// <exception cref="ArgumentException">An argument is unknown or malformed.</exception>
    public static QuickOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new QuickOptions();
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

    public int[] KeyCounts(params int[] ownSizes) => _keyCounts ?? ownSizes;

    private static int ParsePositive(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new ArgumentException($"\"{text}\" is not a positive number.\n{Usage}");
}
