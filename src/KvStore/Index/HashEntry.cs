using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Index;

/// <summary>
/// The 64 bits by which the hash index points at a record.
/// </summary>
/// <remarks>
/// <code>
/// 63      always 1 in a word that points at a record
/// 49..62  tag: 14 bits of the key's hash, so that a wrong candidate rarely touches its record
/// 48      set when the record is a tombstone
/// 43..47  what is known of its place (<see cref="HomeBucket"/>)
/// 19..42  segment: its number, which comes around only after 2^24 segments (1 TiB written at the least)
/// 0..18   offset in the segment, in units of 8 bytes
/// </code>
/// A word up to <see cref="Moved"/> and not negative points nowhere. The low 43 bits by themselves are an address.
/// </remarks>
internal static class HashEntry
{
    /// <summary>Never used: a search ends here.</summary>
    public const long Empty = 0;

    /// <summary>Was used: a search goes on, an insert may take it.</summary>
    public const long Deleted = 1;

    /// <summary>This table has been replaced: a search begins again in the new one.</summary>
    public const long Moved = 2;

    /// <summary>The bits that a search compares.</summary>
    public const long TagMask = unchecked((long)0xFFFE_0000_0000_0000);

    /// <summary>The bit of a tombstone.</summary>
    public const long TombstoneBit = 1L << 48;

    /// <summary>The bits of an address.</summary>
    public const long AddressMask = (1L << (OffsetBits + SegmentBits)) - 1;

    private const int OffsetBits = 19;
    private const int SegmentBits = 24;

    /// <summary>The most bytes of a segment that holds more than one record.</summary>
    public const int SegmentBytesMax = Record.Alignment << OffsetBits;

    /// <summary>Segment numbers are kept below this.</summary>
    public const int SegmentIdEnd = 1 << SegmentBits;

    /// <summary>The tag of a hash, in place. Its bits are neither those of the shard nor those of small tables.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long TagOf(ulong hash) => (long)((hash << 6) | (1UL << 63)) & TagMask;

    /// <summary>The highest 16 bits of a word with the tag of a hash that points at a value, and not at a tombstone; in the lowest element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ushort> TopOf(Vector128<ulong> hash) =>
        ((hash >> 42).AsUInt16() & Vector128.Create((ushort)0xFFFE)) | Vector128.Create((ushort)0x8000);

    /// <summary>The address of a record.</summary>
    public static long AddressOf(int segmentId, int offset) => ((long)segmentId << OffsetBits) | (long)((uint)offset >> 3);

    /// <summary>The segment number of a word or an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SegmentIdOf(long word) => (int)(word >> OffsetBits) & (SegmentIdEnd - 1);

    /// <summary>The same, with other bits above it: for whoever needs the low ones only.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint SegmentIdAndMoreOf(long word) => (uint)(word >> OffsetBits);

    /// <summary>The offset of a word or an address, in units of <see cref="Record.Alignment"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint OffsetUnitsOf(long word) => (nuint)(ulong)word & ((1 << OffsetBits) - 1);

    /// <summary>The offset in bytes of a word or an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OffsetOf(long word) => ((int)word & ((1 << OffsetBits) - 1)) << 3;
}
