using System.Globalization;

namespace KvStore.Comparisons.Latency;

/// <summary>The options of <c>latency</c>.</summary>
internal sealed class LatencyOptions
{
    public const string Usage =
        """
        latency [--seconds 15] [--rounds 3] [--keys 1000000] [--readers N] [--rate 100000] [--only KvStore,MemoryCache]
                [--output artifacts/comparisons] [--short]

          --seconds  how long each store is measured in each round
          --rounds   how often each store is measured, in turn with the others
          --readers  threads that read; by default one less than there are processors
          --rate     reads a second and thread; a ninth as many writes in all
          --output   where latency.md, latency.csv and latency.svg go
          --short    a fraction of a second on few keys: shows that everything runs, and measures nothing
        """;

    private string[] _only = [];

    public TimeSpan Duration { get; private set; } = TimeSpan.FromSeconds(15);

    public int Rounds { get; private set; } = 3;

    public int Keys { get; private set; } = 1_000_000;

    public int Readers { get; private set; } = Math.Max(1, Environment.ProcessorCount - 1);

    public int ReadsPerSecond { get; private set; } = 100_000;

    public int WritesPerSecond => Math.Max(1, ReadsPerSecond * Readers / 9);

    public string OutputDirectory { get; private set; } = Path.Combine("artifacts", "comparisons");

    public bool IsShort { get; private set; }

    /// <exception cref="ArgumentException">An argument is unknown or malformed.</exception>
    public static LatencyOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new LatencyOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "--short":
                    options.IsShort = true;
                    options.Rounds = 1;
                    options.Keys = 1000;
                    options.Duration = TimeSpan.FromMilliseconds(200);
                    continue;
                case "--seconds":
                    options.Duration = TimeSpan.FromSeconds(ParsePositive(value));
                    break;
                case "--rounds":
                    options.Rounds = ParsePositive(value);
                    break;
                case "--keys":
                    options.Keys = ParsePositive(value);
                    break;
                case "--readers":
                    options.Readers = ParsePositive(value);
                    break;
                case "--rate":
                    options.ReadsPerSecond = ParsePositive(value);
                    break;
                case "--only":
                    options._only = value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
                    break;
                case "--output" when value.Length > 0:
                    options.OutputDirectory = value;
                    break;
                default:
                    throw new ArgumentException($"\"{arguments[i]}\" is not understood.\n{Usage}");
            }

            i++;
        }

        return options;
    }

    public bool TakesPart(string name) =>
        _only.Length == 0 || _only.Any(part => name.Contains(part, StringComparison.OrdinalIgnoreCase));

    private static int ParsePositive(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new ArgumentException($"\"{text}\" is not a positive number.\n{Usage}");
}
