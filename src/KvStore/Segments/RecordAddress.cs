using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Records;

namespace KvStore.Segments;

/// <summary>
/// The address of a record: 43 bits, a segment number and an offset. The low bits of an index entry are an address too, so every
/// member takes both.
/// </summary>
/// <remarks>
/// <code>
/// 19..42  segment: its number, which comes around only after 2^24 segments (1 TiB written at the least)
/// 0..18   offset in the segment, in units of 8 bytes
/// </code>
/// </remarks>
internal static class RecordAddress
{
    /// <summary>The bits of an address.</summary>
    public const long Mask = (1L << (OffsetBits + SegmentBits)) - 1;

    private const int OffsetBits = 19;
    private const int SegmentBits = 24;

    /// <summary>The most bytes of a segment that holds more than one record.</summary>
    public const int SegmentBytesMax = Record.Alignment << OffsetBits;

    /// <summary>Segment numbers are below this.</summary>
    public const int SegmentIdEnd = 1 << SegmentBits;

    /// <summary>The address of a record.</summary>
    public static long Of(int segmentId, int offset)
    {
        Debug.Assert(segmentId is > 0 and < SegmentIdEnd);
        Debug.Assert(offset >= 0 && offset % Record.Alignment == 0);
        return ((long)segmentId << OffsetBits) | (long)((uint)offset >> 3);
    }

    /// <summary>The segment number of an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int SegmentIdOf(long address) => (int)(address >> OffsetBits) & (SegmentIdEnd - 1);

    /// <summary>The segment number with other bits above it, for a caller that masks it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint SegmentIdAndMoreOf(long address) => (uint)(address >> OffsetBits);

    /// <summary>The offset of an address, in units of <see cref="Record.Alignment"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nuint OffsetUnitsOf(long address) => (nuint)(ulong)address & ((1 << OffsetBits) - 1);

    /// <summary>The offset of an address in bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OffsetOf(long address) => ((int)address & ((1 << OffsetBits) - 1)) << 3;
}
