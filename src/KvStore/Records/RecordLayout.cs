using System.Runtime.CompilerServices;
using KvStore.Rules;

namespace KvStore.Records;

/// <summary>
/// Where the parts of a record lie in memory. Its one home: the engine writes and reads records by it, and a
/// <see cref="KvValue"/> reads the record that it is a view on.
/// </summary>
/// <remarks>
/// <code>
/// 0  revision        8 bytes   the low 62 bits; orders the mutations of a namespace; the highest wins
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

    /// <summary>What of the field at <see cref="RevisionOffset"/> is the revision: 2^62 of them last for centuries.</summary>
    public const long RevisionMask = (1L << RoundingShift) - 1;

    /// <summary>Where in the field at <see cref="RevisionOffset"/> <see cref="Deadline.Rounding"/> stands.</summary>
    public const int RoundingShift = 62;

    /// <summary>What of the field at <see cref="KeyBytesOffset"/> is the length.</summary>
    public const int KeyBytesMask = 0x0FFF;

    /// <summary>The index no longer points here.</summary>
    public const ushort DeadFlag = 0x8000;

    /// <summary>The value is kept outside memory.</summary>
    public const ushort LargeFlag = 0x4000;

    /// <summary>
    /// The key was deleted. Its word says the same; but a look that found a value's word and then reads another in its place is
    /// told by the record, at no cost.
    /// </summary>
    public const ushort TombstoneFlag = 0x2000;

    /// <summary>Reads a field. The caller vouches for a whole header at <paramref name="start"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Read<T>(ref readonly byte start, int field)
        where T : unmanaged =>
        Unsafe.ReadUnaligned<T>(ref Unsafe.Add(ref Unsafe.AsRef(in start), field));

    /// <summary>Writes a field. The caller vouches as above, and that nobody minds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write<T>(ref byte start, int field, T value)
        where T : unmanaged =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref start, field), value);

    /// <summary>Reads the deadline. The caller vouches as above.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Deadline ReadDeadline(ref readonly byte start) =>
        new(Read<uint>(in start, DeadlineOffset), (byte)(Read<ulong>(in start, RevisionOffset) >> RoundingShift));

    /// <summary>Writes a whole header without a revision.</summary>
    public static void WriteHeader(ref byte start, int keyBytes, int metadataBytes, int valueBytes, Deadline deadline)
    {
        Write(ref start, RevisionOffset, (long)deadline.Rounding << RoundingShift);
        Write(ref start, DeadlineOffset, deadline.Seconds);
        Write(ref start, ValueBytesOffset, valueBytes);
        Write(ref start, KeyBytesOffset, (ushort)keyBytes);
        Write(ref start, MetadataBytesOffset, (ushort)metadataBytes);
    }
}
