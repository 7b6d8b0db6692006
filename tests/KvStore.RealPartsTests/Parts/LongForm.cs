using System.Globalization;

namespace KvStore.RealPartsTests.Parts;

/// <summary>How long the tests run, and what their random choices follow from.</summary>
internal static class LongForm
{
    /// <summary>How many times as many cases as by default there are. Less than 1 for a short form.</summary>
    public static double Factor { get; } =
        double.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_FACTOR"), CultureInfo.InvariantCulture, out var factor) ? factor : 1;

    /// <summary>Another one each time unless it is given.</summary>
    public static int Seed { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_SEED"), CultureInfo.InvariantCulture, out var seed)
            ? seed
            : Environment.TickCount & 0xFFFFFF;

    /// <summary>For a message: how to repeat this run.</summary>
    public static string Again => FormattableString.Invariant($"KVSTORE_REAL_PARTS_SEED={Seed} KVSTORE_REAL_PARTS_FACTOR={Factor}");

    /// <summary>How many cases there are where there are so many by default; at least one.</summary>
    public static int Times(int cases) => Math.Max(1, (int)(cases * Factor));
}
