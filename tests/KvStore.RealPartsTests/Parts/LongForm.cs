using System.Globalization;

namespace KvStore.RealPartsTests.Parts;

/// <summary>How long the tests run, and what their random choices follow from.</summary>
internal static class LongForm
{
    /// <summary>How many times more cases than in CI there are. 1 by default.</summary>
    public static int Factor { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_FACTOR"), CultureInfo.InvariantCulture, out var factor) ? factor : 1;

    /// <summary>Another one each time unless it is given.</summary>
    public static int Seed { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_SEED"), CultureInfo.InvariantCulture, out var seed)
            ? seed
            : Environment.TickCount & 0xFFFFFF;

    /// <summary>For a message: how to run the same again.</summary>
    public static string Again => $"KVSTORE_REAL_PARTS_SEED={Seed} KVSTORE_REAL_PARTS_FACTOR={Factor}";
}
