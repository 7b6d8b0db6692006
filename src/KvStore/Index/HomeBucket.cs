using System.Numerics;
using System.Runtime.CompilerServices;

namespace KvStore.Index;

/// <summary>
/// The home bucket of an entry: where it belongs in a table of some size. The hash of the key decides. Mostly the entry itself and
/// its slot in another table decide too, so that an entry can be rehashed into a new table without reading the key.
/// </summary>
/// <remarks>
/// In a table of 2^n buckets, the low n bits of a hash choose the home bucket. A larger table needs more bits, and computing the hash
/// again needs the key, which is somewhere in memory. So each entry carries four more bits of the hash. Only every fourth doubling,
/// when they are used up, reads the keys again. A displaced entry, whose home bucket was full, is always rehashed by its key.
/// </remarks>
internal static class HomeBucket
{
    /// <summary>The bits of an entry for rehashing. An overwrite leaves them as they are.</summary>
    public const long Mask = (CarriedMask << CarriedShift) | DisplacedBit;

    private const int CarriedBits = 4;
    private const long CarriedMask = (1 << CarriedBits) - 1;
    private const int CarriedShift = 44;
    private const long DisplacedBit = 1L << 43;

    // The bits of a hash below those that choose a bucket would be the byte in the bucket.
    private const int BucketShift = 6;

    /// <summary>The home bucket of a hash, as the slot of its first entry.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int HomeOf(ulong hash, int entryCount) => (int)(hash / sizeof(long)) & (entryCount - HashBucket.Entries);

    /// <summary>The bits for rehashing of an entry in a slot of a table.</summary>
    public static long Of(ulong hash, int slot, int entryCount) =>
        ((long)(hash >> (BucketShift + FirstCarriedOf(entryCount))) & CarriedMask) << CarriedShift
            | ((slot & -HashBucket.Entries) == HomeOf(hash, entryCount) ? 0 : DisplacedBit);

    /// <summary>Whether the entries of a table, except displaced ones, can be rehashed into a table of another size without their keys.</summary>
    public static bool CanRehash(int entryCount, int newEntryCount) => FirstCarriedOf(newEntryCount) <= FirstCarriedOf(entryCount);

    /// <summary>Whether an entry is not in its home bucket, so that only the key leads there.</summary>
    public static bool IsDisplaced(long entry) => (entry & DisplacedBit) != 0;

    /// <summary>The low bits of the hash of an entry in its home bucket: all that a table needs for which <see cref="CanRehash"/>.</summary>
    public static ulong HashOf(long entry, int slot, int entryCount) =>
        ((ulong)(uint)(slot & -HashBucket.Entries) * sizeof(long))
            | ((ulong)((entry >> CarriedShift) & CarriedMask) << (BucketShift + FirstCarriedOf(entryCount)));

    // The first of the carried bits, counted from the lowest that chooses a bucket. The table's own size is never beyond them: with
    // n bucket bits it is one of n - 3 to n, so that at least one more is known.
    private static int FirstCarriedOf(int entryCount)
    {
        var bucketBits = BitOperations.Log2((uint)entryCount / HashBucket.Entries);
        return Math.Max(0, ((bucketBits + 2) & -CarriedBits) - 2);
    }
}
