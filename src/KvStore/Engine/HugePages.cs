using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvStore.Engine;

/// <summary>
/// Asks Linux to back large arrays by pages of 2 MiB in place of 4 KiB: the first touch of a segment then costs two page
/// faults instead of a thousand, and a random access finds the page in the processor's table more often.
/// </summary>
/// <remarks>
/// Only a hint: elsewhere, where the system is set to give none (<c>transparent_hugepage/enabled</c> is <c>never</c>) and
/// where it fails nothing happens. What it says is true of addresses, not of the array: should the collector move that, the
/// hint stays behind.
/// </remarks>
internal static partial class HugePages
{
    // The collector makes large arrays in regions of this size, and gets their memory from the system bit by bit. A page is
    // large only if all of it was hinted at and could be used when its first byte was touched: so the hint comes ahead, for
    // the whole region.
    private const int RegionBytes = 32 * 1024 * 1024;
    private const int HugePageAdvice = 14;

    /// <summary>The bytes of an array that are not its elements.</summary>
    public const int ArrayHeaderBytes = 24;

    /// <summary>Hints for a large array and for those that will be made behind it.</summary>
    public static unsafe void Hint(Array array, long bytes)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // No byte is touched, so it does not matter that the array might move meanwhile; and the pages around it belong to the
        // heap of the process too, or to nobody.
        var start = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(array));
        var first = start & -RegionBytes;
        var end = (nint)((start + bytes + RegionBytes - 1) & -RegionBytes);
        _ = Advise(first, (nuint)(end - first), HugePageAdvice);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint bytes, int advice);
}
