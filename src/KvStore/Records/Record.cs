using System.Buffers.Binary;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Values;

namespace KvStore.Records;

/// <summary>
/// One record in its segment: a header, the key in UTF-8, the metadata as JSON, the value; 8-byte aligned.
/// </summary>
/// <remarks>
/// <para>The bytes are described by <see cref="RecordLayout"/>.</para>
/// <para>Complete before it is published and immutable afterwards, but for the count of its uses, and one bit:
/// <see cref="RecordLayout.DeadFlag"/>, set under the lock of the key's shard once the index no longer points here. It saves the cleaner
/// and a listing a look-up; no reader of a view reads either.</para>
/// <para>With <see cref="RecordLayout.LargeFlag"/> the value is kept outside memory, and in its place stands where: the number, the
/// length and the check of a <see cref="KvValueReference"/>, 8 bytes each.</para>
/// </remarks>
internal readonly struct Record(byte[] segment, int offset)
{
    /// <summary>The bytes before the key.</summary>
    public const int HeaderBytes = RecordLayout.HeaderBytes;

    /// <summary>The bytes of a reference to a value outside memory.</summary>
    public const int ReferenceBytes = 3 * sizeof(long);

    /// <summary>Records begin at multiples of this.</summary>
    public const int Alignment = 8;

    /// <summary>The segment that holds the record.</summary>
    public readonly byte[] Segment = segment;

    /// <summary>Where the record begins.</summary>
    public readonly int Offset = offset;

    /// <summary>Whether there is no record.</summary>
    public bool IsNone => Segment is null;

    /// <summary>The revision of the mutation that made the record.</summary>
    public long Revision => Read<long>(RecordLayout.RevisionOffset) & RecordLayout.RevisionMask;

    /// <summary>When the record expires.</summary>
    public Deadline Deadline => RecordLayout.ReadDeadline(in Start);

    /// <summary><see cref="Deadline.Seconds"/> of the deadline, without its rounding.</summary>
    public uint DeadlineSeconds => Read<uint>(RecordLayout.DeadlineOffset);

    /// <summary>The length of the value; of a large value, the length of the reference to it.</summary>
    public int ValueBytes => Read<int>(RecordLayout.ValueBytesOffset);

    /// <summary>The length of the key.</summary>
    public int KeyBytes => Read<ushort>(RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask;

    /// <summary>The length of the metadata.</summary>
    public int MetadataBytes => Read<ushort>(RecordLayout.MetadataBytesOffset);

    /// <summary>Whether the index no longer points at this record.</summary>
    public bool IsDead => (Read<ushort>(RecordLayout.KeyBytesOffset) & RecordLayout.DeadFlag) != 0;

    /// <summary>Whether this is the newest record of a key, as far as it says itself, with a value in memory.</summary>
    public bool IsPlain => (Read<ushort>(RecordLayout.KeyBytesOffset) & ~RecordLayout.KeyBytesMask) == 0;

    /// <summary>Whether this is the record of a deleted key.</summary>
    public bool IsTombstone => (Read<ushort>(RecordLayout.KeyBytesOffset) & RecordLayout.TombstoneFlag) != 0;

    /// <summary>Whether the value is kept outside memory.</summary>
    public bool IsLarge => (Read<ushort>(RecordLayout.KeyBytesOffset) & RecordLayout.LargeFlag) != 0;

    /// <summary>Where the value is kept, when that is outside memory; otherwise none.</summary>
    public KvValueReference LargeValue => IsLarge
        ? new KvValueReference(BinaryPrimitives.ReadInt64LittleEndian(Value), BinaryPrimitives.ReadInt64LittleEndian(Value[sizeof(long)..]))
        {
            Check = BinaryPrimitives.ReadInt64LittleEndian(Value[(2 * sizeof(long))..]),
        }
        : default;

    /// <summary>The first byte of the key, for a comparison that knows the length.</summary>
    public ref readonly byte KeyStart
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref Unsafe.Add(ref Start, HeaderBytes);
    }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key
    {
        // In bounds: the length was written before anybody could see the record, and that many bytes were reserved behind the header.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            ref var start = ref Start;
            return MemoryMarshal.CreateReadOnlySpan(
                ref Unsafe.Add(ref start, HeaderBytes), RecordLayout.Read<ushort>(in start, RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask);
        }
    }

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value => Segment.AsSpan(Offset + HeaderBytes + KeyBytes + MetadataBytes, ValueBytes);

    /// <summary>The whole record, without the bytes that align the next one.</summary>
    public ReadOnlySpan<byte> Bytes => Segment.AsSpan(Offset, HeaderBytes + KeyBytes + MetadataBytes + ValueBytes);

    /// <summary>The bytes of key, metadata and value, which the limit of a namespace counts. The value counts also when it is outside
    /// memory.</summary>
    public long LiveBytes => KeyBytes + MetadataBytes + (IsLarge ? LargeValue.Length : ValueBytes);

    /// <summary>The bytes that it takes in its segment.</summary>
    public int SizeInSegment => SizeFor(KeyBytes, MetadataBytes, ValueBytes);

    /// <summary>The bytes that a record takes in a segment, alignment included.</summary>
    public static int SizeFor(int keyBytes, int metadataBytes, int valueBytes) =>
        (HeaderBytes + keyBytes + metadataBytes + valueBytes + Alignment - 1) & -Alignment;

    /// <summary>Writes the header of a record that nobody else can see yet.</summary>
    public void Initialize(int keyBytes, int metadataBytes, int valueBytes, Deadline deadline) =>
        RecordLayout.WriteHeader(ref Start, keyBytes, metadataBytes, valueBytes, deadline);

    /// <summary>The key's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftKey => Segment.AsSpan(Offset + HeaderBytes, KeyBytes);

    /// <summary>The metadata's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftMetadata => Segment.AsSpan(Offset + HeaderBytes + KeyBytes, MetadataBytes);

    /// <summary>The value's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftValue => Segment.AsSpan(Offset + HeaderBytes + KeyBytes + MetadataBytes, ValueBytes);

    /// <summary>Writes the reference to a value outside memory, in a record that nobody else can see yet and that has
    /// <see cref="ReferenceBytes"/> for it.</summary>
    public void SetLargeValue(KvValueReference reference)
    {
        BinaryPrimitives.WriteInt64LittleEndian(DraftValue, reference.Id);
        BinaryPrimitives.WriteInt64LittleEndian(DraftValue[sizeof(long)..], reference.Length);
        BinaryPrimitives.WriteInt64LittleEndian(DraftValue[(2 * sizeof(long))..], reference.Check);
        Write(RecordLayout.KeyBytesOffset, (ushort)(Read<ushort>(RecordLayout.KeyBytesOffset) | RecordLayout.LargeFlag));
    }

    /// <summary>Numbers a record that nobody else can see yet.</summary>
    public void SetRevision(long revision)
    {
        Debug.Assert(revision is >= 0 and <= RecordLayout.RevisionMask, "A revision has 60 bits.");
        Write(RecordLayout.RevisionOffset, (Read<long>(RecordLayout.RevisionOffset) & ~RecordLayout.RevisionMask) | revision);
    }

    /// <summary>How often the record was used, as far as that is counted: see <see cref="RecordLayout.UsesOf"/>.</summary>
    public int Uses => RecordLayout.UsesOf(in Start);

    /// <summary>Counts a use: see <see cref="RecordLayout.CountUse"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CountUse() => RecordLayout.CountUse(ref Start);

    /// <summary>Sets the count of uses.</summary>
    public void SetUses(int uses) => RecordLayout.SetUses(ref Start, uses);

    /// <summary>Gives a record that nobody else can see yet another deadline.</summary>
    public void SetDeadline(Deadline deadline)
    {
        Write(RecordLayout.RevisionOffset, Revision | ((long)deadline.Rounding << RecordLayout.RoundingShift));
        Write(RecordLayout.DeadlineOffset, deadline.Seconds);
    }

    /// <summary>Copies a whole record over one that nobody else can see yet.</summary>
    public void CopyFrom(Record other)
    {
        var bytes = other.Bytes;
        bytes.CopyTo(Segment.AsSpan(Offset, bytes.Length));

        // The original may have become dead while it was copied; the copy's own index entry decides whether the copy is live.
        Write(RecordLayout.KeyBytesOffset, (ushort)(other.Read<ushort>(RecordLayout.KeyBytesOffset) & ~RecordLayout.DeadFlag));
    }

    /// <summary>Marks the record dead. Call only while holding the lock of the key's shard, after the index no longer points at it.</summary>
    public void MarkDead() => Write(RecordLayout.KeyBytesOffset, (ushort)(Read<ushort>(RecordLayout.KeyBytesOffset) | RecordLayout.DeadFlag));

    /// <summary>Marks a record that nobody else can see yet as that of a deleted key.</summary>
    public void MarkTombstone() => Write(RecordLayout.KeyBytesOffset, (ushort)(Read<ushort>(RecordLayout.KeyBytesOffset) | RecordLayout.TombstoneFlag));

    // In bounds: a record is made only from an offset that was reserved in this segment, with at least the header's length behind it.
    // Checking Segment for null here replaces the runtime's own check, which would touch the array header on another 4 KiB page.
    private ref byte Start
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (Segment is null)
            {
                ThrowNone();
            }

            Debug.Assert(Offset >= 0 && Offset + HeaderBytes <= Segment.Length, "A record lies in its segment.");
            return ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(Segment), (nuint)(uint)Offset);
        }
    }

    [DoesNotReturn]
    private static void ThrowNone() => throw new InvalidOperationException("There is no record.");

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private T Read<T>(int field)
        where T : unmanaged => RecordLayout.Read<T>(in Start, field);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Write<T>(int field, T value)
        where T : unmanaged => RecordLayout.Write(ref Start, field, value);
}
