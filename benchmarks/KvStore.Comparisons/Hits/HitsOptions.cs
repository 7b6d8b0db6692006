using System.Globalization;

namespace KvStore.Comparisons.Hits;

/// <summary>What <c>hits</c> was asked to measure.</summary>
internal sealed class HitsOptions
{
    public const string Usage =
        """
        hits [--keys 200000] [--accesses 2000000] [--output artifacts/comparisons] [--short]

          --keys      how many keys there are
          --accesses  how many of them are read in each trace
          --output    where hits.md goes
          --short     few keys: shows that everything runs
        """;

    public int Keys { get; private set; } = 200_000;

    public int Accesses { get; private set; } = 2_000_000;

    public string OutputDirectory { get; private set; } = Path.Combine("artifacts", "comparisons");

    /// <exception cref="ArgumentException">An argument is unknown or malformed.</exception>
    public static HitsOptions Parse(ReadOnlySpan<string> arguments)
    {
        var options = new HitsOptions();
        for (var i = 0; i < arguments.Length; i++)
        {
            var value = i + 1 < arguments.Length ? arguments[i + 1] : "";
            switch (arguments[i])
            {
                case "--short":
                    options.Keys = 20_000;
                    options.Accesses = 100_000;
                    continue;
                case "--keys":
                    options.Keys = ParseAtLeast(value, 1000);
                    break;
                case "--accesses":
                    options.Accesses = ParseAtLeast(value, 10_000);
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

    private static int ParseAtLeast(string text, int least) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least
            ? number
            : throw new ArgumentException($"\"{text}\" is not a number of {least.ToString(CultureInfo.InvariantCulture)} or more.\n{Usage}");
}
