using System.Runtime.InteropServices;

namespace KvStore.Comparisons.Peers;

/// <summary>Finds the libraries of stores written in C and C++, where a machine has them.</summary>
internal static class NativeStore
{
    /// <summary>Loads the first of some names that is there.</summary>
    public static nint Load(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var library))
            {
                return library;
            }
        }

        return 0;
    }

    public static nint Export(nint library, string name) => library == 0 ? 0 : NativeLibrary.GetExport(library, name);
}
