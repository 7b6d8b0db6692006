using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Rules;

namespace KvStore.Records;

/// <summary>
/// The layout of a record in memory. Only this type knows it: the engine writes and reads records with it, and a <see cref="KvValue"/>
/// reads its record with it.
/// </summary>
/// <remarks>
/// <code>
/// 0  revision        8 bytes   the low 60 bits; orders the mutations of a namespace; the highest wins
///                              the next 2 bits count uses, where entries are evicted (<see cref="CountUse"/>)
///                              the high 2 bits say how the deadline was rounded
/// 8  deadline        4 bytes   seconds since the Unix epoch, 0 for none
/// 12 value length    4 bytes
/// 16 key length      2 bytes   the low 12 bits; the high 4 are flags
/// 18 metadata length 2 bytes
/// 20 key, metadata, value
/// </code>
/// </remarks>
internal static class RecordLayout
{
    public const int RevisionOffset = 0;
    public const int DeadlineOffset = 8;
    public const int ValueBytesOffset = 12;
    public const int KeyBytesOffset = 16;
    public const int MetadataBytesOffset = 18;

    /// <summary>The bytes before the key.</summary>
    public const int HeaderBytes = 20;

    /// <summary>The bits of the field at <see cref="RevisionOffset"/> that are the revision: 2^60 revisions last for centuries.</summary>
    public const long RevisionMask = (1L << UsesShift) - 1;

    /// <summary>The most uses that are counted.</summary>
    public const int UsesMax = 3;

    /// <summary>The shift of the uses in the field at <see cref="RevisionOffset"/>.</summary>
    public const int UsesShift = 60;

    /// <summary>The shift of <see cref="Deadline.Rounding"/> in the field at <see cref="RevisionOffset"/>.</summary>
    public const int RoundingShift = 62;

    // The highest byte of the field: processors that .NET runs on have the lowest byte first.
    private const int UsesOffset = RevisionOffset + sizeof(long) - 1;
    private const int UsesShiftInByte = UsesShift - ((sizeof(long) - 1) * 8);
    private const byte UsesMaskInByte = UsesMax << UsesShiftInByte;

    /// <summary>The bits of the field at <see cref="KeyBytesOffset"/> that are the length.</summary>
    public const int KeyBytesMask = 0x0FFF;

    /// <summary>The index no longer points here.</summary>
    public const ushort DeadFlag = 0x8000;

    /// <summary>The value is kept outside memory.</summary>
    public const ushort LargeFlag = 0x4000;

    /// <summary>
    /// The key was deleted. Its index entry has that flag too. But an entry may become a tombstone's after a probe compared it, and
    /// then the probe notices that by the record, at no cost.
    /// </summary>
    public const ushort TombstoneFlag = 0x2000;

    /// <summary>Reads a field. Requires: a whole header begins at <paramref name="start"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Read<T>(ref readonly byte start, int field)
        where T : unmanaged =>
        Unsafe.ReadUnaligned<T>(ref Unsafe.Add(ref Unsafe.AsRef(in start), field));

    /// <summary>Writes a field. Requires: a whole header begins at <paramref name="start"/>, and no other thread writes it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(ref byte start, int field, T value)
        where T : unmanaged =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref start, field), value);

    /// <summary>Reads the deadline. Requires: a whole header begins at <paramref name="start"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Deadline ReadDeadline(ref readonly byte start) =>
        new(Read<uint>(in start, DeadlineOffset), (byte)(Read<ulong>(in start, RevisionOffset) >> RoundingShift));

    /// <summary>How often the record was used since its uses were last taken away: 0 to <see cref="UsesMax"/>.</summary>
    public static int UsesOf(ref readonly byte start) => (Read<byte>(in start, UsesOffset) >> UsesShiftInByte) & UsesMax;

    /// <summary>
    /// Counts a use of a published record. The byte is not changed by anybody else. When two threads write it at once, one use may be
    /// lost, which changes only what is evicted. A record that is used often is only read.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void CountUse(ref byte start)
    {
        var uses = Read<byte>(in start, UsesOffset);
        if ((~uses & UsesMaskInByte) != 0)
        {
            Write(ref start, UsesOffset, (byte)(uses + (1 << UsesShiftInByte)));
        }
    }

    /// <summary>Sets the uses of a record.</summary>
    public static void SetUses(ref byte start, int uses)
    {
        Debug.Assert(uses is >= 0 and <= UsesMax);
        Write(ref start, UsesOffset, (byte)((Read<byte>(in start, UsesOffset) & ~UsesMaskInByte) | (uses << UsesShiftInByte)));
    }

    /// <summary>Writes a whole header without a revision.</summary>
    public static void WriteHeader(ref byte start, int keyBytes, int metadataBytes, int valueBytes, Deadline deadline)
    {
        Debug.Assert(keyBytes is >= 0 and <= KeyBytesMask && metadataBytes is >= 0 and <= ushort.MaxValue && valueBytes >= 0);
        Write(ref start, RevisionOffset, (long)deadline.Rounding << RoundingShift);
        Write(ref start, DeadlineOffset, deadline.Seconds);
        Write(ref start, ValueBytesOffset, valueBytes);
        Write(ref start, KeyBytesOffset, (ushort)keyBytes);
        Write(ref start, MetadataBytesOffset, (ushort)metadataBytes);
    }
}
