using System.Globalization;

namespace KvStore.RealPartsTests.Parts;

/// <summary>What the tests need of the machine. In CI nothing is skipped: what is missing there fails.</summary>
internal static class RealParts
{
    private static readonly bool s_isCi = Environment.GetEnvironmentVariable("CI") == "true";

    /// <summary>How much longer than in CI the tests run. 1 by default.</summary>
    public static int Factor { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_FACTOR"), CultureInfo.InvariantCulture, out var factor) ? factor : 1;

    /// <summary>What all random choices follow from. Another one each time unless it is given.</summary>
    public static int Seed { get; } =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REAL_PARTS_SEED"), CultureInfo.InvariantCulture, out var seed)
            ? seed
            : Environment.TickCount & 0xFFFFFF;

    /// <summary>For a message: how to run the same again.</summary>
    public static string Again => $"KVSTORE_REAL_PARTS_SEED={Seed} KVSTORE_REAL_PARTS_FACTOR={Factor}";

    public static void NeedLinux() => Need(OperatingSystem.IsLinux(), "Needs Linux.");

    public static void NeedRoot()
    {
        NeedLinux();
        Need(Environment.UserName == "root" && File.Exists("/usr/sbin/mkfs.ext4"), "Needs root, and mkfs.ext4 (apt-get install e2fsprogs): it mounts small file systems.");
    }

    public static void NeedCompiler()
    {
        NeedLinux();
        Need(File.Exists("/usr/bin/gcc"), "Needs gcc (apt-get install gcc libc6-dev): the library that makes system calls fail is built from Shim/failing_calls.c.");
    }

    private static void Need(bool isThere, string reason) => Skip.If(!isThere && !s_isCi, reason);
}
