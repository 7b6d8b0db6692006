using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvStore.Engine;

/// <summary>
/// One record in its segment: a header, the key in UTF-8, the metadata as JSON, the value; 8-byte aligned.
/// </summary>
/// <remarks>
/// <code>
/// 0  revision        8 bytes   orders the mutations of a namespace; the highest wins
/// 8  deadline        4 bytes   seconds since the Unix epoch, 0 for none
/// 12 value length    4 bytes
/// 16 key length      2 bytes   the low 12 bits; the high 4 are flags
/// 18 metadata length 2 bytes
/// 20 key, metadata, value
/// </code>
/// <para>Complete before it is published and immutable afterwards, but for one bit: <see cref="DeadFlag"/>, set under the lock
/// of the key's shard once the index no longer points here. It tells the cleaner and a listing what they would otherwise have
/// to look up; no reader of a view looks at it.</para>
/// <para>With <see cref="LargeFlag"/> the value is kept outside memory, and in its place stands where: the number and the
/// length of a <see cref="KvValueReference"/>, 8 bytes each.</para>
/// </remarks>
internal readonly struct Record(byte[] segment, int offset)
{
    /// <summary>The bytes before the key.</summary>
    public const int HeaderBytes = 20;

    /// <summary>The bytes that say where a value is that is kept outside memory.</summary>
    public const int ReferenceBytes = 2 * sizeof(long);

    /// <summary>Records begin at multiples of this.</summary>
    public const int Alignment = 8;

    private const int DeadlineOffset = 8;
    private const int ValueBytesOffset = 12;
    private const int KeyBytesOffset = 16;
    private const int MetadataBytesOffset = 18;

    private const int KeyBytesMask = 0x0FFF;
    private const ushort DeadFlag = 0x8000;
    private const ushort LargeFlag = 0x4000;

    /// <summary>The segment that holds the record.</summary>
    public readonly byte[] Segment = segment;

    /// <summary>Where the record begins.</summary>
    public readonly int Offset = offset;

    /// <summary>Whether this is a record at all.</summary>
    public bool IsNone => Segment is null;

    /// <summary>Which mutation made it.</summary>
    public long Revision => Read<long>(0);

    /// <summary>The second at which it is gone, 0 for never.</summary>
    public uint Deadline => Read<uint>(DeadlineOffset);

    /// <summary>The length of the value, or of what stands in its place.</summary>
    public int ValueBytes => Read<int>(ValueBytesOffset);

    /// <summary>The length of the key.</summary>
    public int KeyBytes => Read<ushort>(KeyBytesOffset) & KeyBytesMask;

    /// <summary>The length of the metadata.</summary>
    public int MetadataBytes => Read<ushort>(MetadataBytesOffset);

    /// <summary>Whether the index has left this record for another, or for none.</summary>
    public bool IsDead => (Read<ushort>(KeyBytesOffset) & DeadFlag) != 0;

    /// <summary>Whether the value is kept outside memory.</summary>
    public bool IsLarge => (Read<ushort>(KeyBytesOffset) & LargeFlag) != 0;

    /// <summary>Where the value is kept, when that is outside memory; otherwise none.</summary>
    public KvValueReference LargeValue => IsLarge
        ? new KvValueReference(BinaryPrimitives.ReadInt64LittleEndian(Value), BinaryPrimitives.ReadInt64LittleEndian(Value[sizeof(long)..]))
        : default;

    /// <summary>The first byte of the key, for a comparison that knows the length.</summary>
    public ref readonly byte KeyStart
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(Segment), Offset + HeaderBytes);
    }

    /// <summary>The key.</summary>
    public ReadOnlySpan<byte> Key => Segment.AsSpan(Offset + HeaderBytes, KeyBytes);

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value => Segment.AsSpan(Offset + HeaderBytes + KeyBytes + MetadataBytes, ValueBytes);

    /// <summary>The whole record, without what aligns the next.</summary>
    public ReadOnlySpan<byte> Bytes => Segment.AsSpan(Offset, HeaderBytes + KeyBytes + MetadataBytes + ValueBytes);

    /// <summary>The room it takes in its segment.</summary>
    public int SizeInSegment => SizeFor(KeyBytes, MetadataBytes, ValueBytes);

    /// <summary>The room that a record takes in a segment, alignment included.</summary>
    public static int SizeFor(int keyBytes, int metadataBytes, int valueBytes) =>
        (HeaderBytes + keyBytes + metadataBytes + valueBytes + Alignment - 1) & -Alignment;

    /// <summary>Writes the header of a record that nobody else can see yet.</summary>
    public void Initialize(int keyBytes, int metadataBytes, int valueBytes, uint deadline)
    {
        Write(0, 0L);
        Write(DeadlineOffset, deadline);
        Write(ValueBytesOffset, valueBytes);
        Write(KeyBytesOffset, (ushort)keyBytes);
        Write(MetadataBytesOffset, (ushort)metadataBytes);
    }

    /// <summary>The key's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftKey => Segment.AsSpan(Offset + HeaderBytes, KeyBytes);

    /// <summary>The metadata's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftMetadata => Segment.AsSpan(Offset + HeaderBytes + KeyBytes, MetadataBytes);

    /// <summary>The value's bytes in a record that nobody else can see yet.</summary>
    public Span<byte> DraftValue => Segment.AsSpan(Offset + HeaderBytes + KeyBytes + MetadataBytes, ValueBytes);

    /// <summary>Says where the value is kept, in a record that nobody else can see yet and that has <see cref="ReferenceBytes"/> for it.</summary>
    public void SetLargeValue(KvValueReference reference)
    {
        BinaryPrimitives.WriteInt64LittleEndian(DraftValue, reference.Id);
        BinaryPrimitives.WriteInt64LittleEndian(DraftValue[sizeof(long)..], reference.Length);
        Write(KeyBytesOffset, (ushort)(Read<ushort>(KeyBytesOffset) | LargeFlag));
    }

    /// <summary>Numbers a record that nobody else can see yet.</summary>
    public void SetRevision(long revision) => Write(0, revision);

    /// <summary>Copies a whole record over one that nobody else can see yet.</summary>
    public void CopyFrom(Record other)
    {
        var bytes = other.Bytes;
        bytes.CopyTo(Segment.AsSpan(Offset, bytes.Length));

        // The original may have died while it was copied; the copy's own word decides whether it lives.
        Write(KeyBytesOffset, (ushort)(other.Read<ushort>(KeyBytesOffset) & ~DeadFlag));
    }

    /// <summary>Marks the record dead. Only under the lock of the key's shard, after the index has left it.</summary>
    public void MarkDead() => Write(KeyBytesOffset, (ushort)(Read<ushort>(KeyBytesOffset) | DeadFlag));

    /// <summary>The record as a mutation for a persistence provider: views, no copy.</summary>
    public KvMutation ToMutation(long revision)
    {
        var metadataOffset = Offset + HeaderBytes + KeyBytes;
        return new KvMutation
        {
            Key = new ReadOnlyMemory<byte>(Segment, Offset + HeaderBytes, KeyBytes),
            Metadata = new ReadOnlyMemory<byte>(Segment, metadataOffset, MetadataBytes),
            Value = IsLarge ? default : new ReadOnlyMemory<byte>(Segment, metadataOffset + MetadataBytes, ValueBytes),
            LargeValue = LargeValue,
            Revision = revision,
            DeadlineSeconds = Deadline,
        };
    }

    /// <summary>A view for a caller on a record whose value was found outside memory.</summary>
    public KvValue ToValue(KvLargeValue value) => new(
        new LargeValueView(value, Segment), Offset + HeaderBytes + KeyBytes + MetadataBytes, checked((int)value.Length), MetadataBytes, Deadline);

    /// <summary>A view on the record for a caller. Only for one whose value is in memory.</summary>
    public KvValue ToValue() => new(Segment, Place, Extent);

    /// <summary>Where value and metadata lie, as a <see cref="KvValue"/> keeps it.</summary>
    public ulong Place
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            var metadataBytes = MetadataBytes;
            return KvValue.PlaceOf(Offset + HeaderBytes + KeyBytes + metadataBytes, metadataBytes);
        }
    }

    /// <summary>Deadline and length of the value, as a <see cref="KvValue"/> keeps them: just as they stand in the header.</summary>
    public ulong Extent
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Read<ulong>(DeadlineOffset);
    }

    /// <summary>The metadata, as a view.</summary>
    public KvMetadata ToMetadata() => MetadataBytes is 0
        ? default
        : KvMetadata.FromStored(new ReadOnlyMemory<byte>(Segment, Offset + HeaderBytes + KeyBytes, MetadataBytes));

    // In bounds: a record is only ever made from an offset that a reservation in this segment gave out, with at least the
    // header's length behind it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private T Read<T>(int field)
        where T : unmanaged =>
        Unsafe.ReadUnaligned<T>(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(Segment), Offset + field));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Write<T>(int field, T value)
        where T : unmanaged =>
        Unsafe.WriteUnaligned(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(Segment), Offset + field), value);
}
