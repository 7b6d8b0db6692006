using System.Reflection;
using System.Runtime.InteropServices;
using LightningDB;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// LMDB's native library. The one in the package needs a newer C library than Debian 12 has; there the distribution's own
/// (package <c>liblmdb0</c>) takes its place.
/// </summary>
internal static class LmdbLibrary
{
    private const string Name = "lmdb";
    private const string OfTheDistribution = "liblmdb.so.0";

    /// <summary>Null when the library was loaded.</summary>
    public static string? MissingBecause { get; } = Load();

    // Before the first LightningEnvironment: one that finds no library throws again when it is finalized.
    private static string? Load()
    {
        var assembly = typeof(LightningEnvironment).Assembly;
        if (NativeLibrary.TryLoad(Name, assembly, searchPath: null, out _))
        {
            return null;
        }

        if (!NativeLibrary.TryLoad(OfTheDistribution, out var library))
        {
            return "LMDB's library does not load here; install liblmdb0";
        }

        NativeLibrary.SetDllImportResolver(
            assembly, (string name, Assembly _, DllImportSearchPath? _) => name.Contains(Name, StringComparison.Ordinal) ? library : 0);
        return null;
    }
}
