using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Index;

/// <summary>
/// An entry of the hash index: 64 bits that point at a record.
/// </summary>
/// <remarks>
/// <code>
/// 63      always 1 in an entry that points at a record
/// 49..62  tag: 14 bits of the key's hash, so that a wrong candidate rarely touches its record
/// 48      set when the record is a tombstone
/// 43..47  bits for rehashing without the key (<see cref="HomeBucket"/>)
/// 0..42   the address of the record (<see cref="RecordAddress"/>)
/// </code>
/// An entry from 0 to <see cref="Moved"/> points nowhere.
/// </remarks>
internal static class HashEntry
{
    /// <summary>Never used: a probe ends here.</summary>
    public const long Empty = 0;

    /// <summary>Used before: a probe goes on, an insert may take it.</summary>
    public const long Deleted = 1;

    /// <summary>The moved marker: this table has been replaced, and a probe begins again in the new one.</summary>
    public const long Moved = 2;

    /// <summary>The bits that a probe compares.</summary>
    public const long TagMask = unchecked((long)0xFFFE_0000_0000_0000);

    /// <summary>The bit of a tombstone.</summary>
    public const long TombstoneBit = 1L << 48;

    /// <summary>The tag of a hash, in place. Its bits are neither those of the shard nor those of small tables.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long TagOf(ulong hash) => (long)((hash << 6) | (1UL << 63)) & TagMask;

    /// <summary>The highest 16 bits of an entry that points at a value, not at a tombstone, and has the tag of a hash; in the lowest element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ushort> ValueTagOf(Vector128<ulong> hash) =>
        ((hash >> 42).AsUInt16() & Vector128.Create((ushort)0xFFFE)) | Vector128.Create((ushort)0x8000);
}
