using System.Buffers.Binary;
using KvStore.Records;

namespace KvStore.Persistence.Log;

/// <summary>What reading a record came to.</summary>
internal enum RecordOutcome
{
    /// <summary>There is a record, and its checksum is right.</summary>
    Whole,

    /// <summary>The record, if it is one, is longer than the bytes at hand.</summary>
    Cut,

    /// <summary>There is no record here.</summary>
    Wrong,
}

/// <summary>
/// One record on disk. The thread that appends lays it out, the writer of the log seals it with its checksum, and
/// <see cref="TryRead"/> reads it back. The three agree field by field.
/// </summary>
internal readonly ref struct LogRecord
{
    private readonly ReadOnlySpan<byte> _bytes;

    private LogRecord(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    public RecordKind Kind => (RecordKind)(KeyAndKind >> LogFormat.KindShift);

    public uint Checksum => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[LogFormat.ChecksumOffset..]);

    public long Revision => RevisionAndRounding & LogFormat.RevisionMask;

    public byte DeadlineRounding => (byte)((ulong)RevisionAndRounding >> LogFormat.RoundingShift);

    public uint DeadlineSeconds => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[LogFormat.DeadlineOffset..]);

    /// <summary>Below this offset everything was on the disk when the record was written.</summary>
    public uint FlushedThrough => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[LogFormat.FlushedThroughOffset..]);

    /// <summary>The room it takes, what aligns the next one included.</summary>
    public int Size => _bytes.Length;

    public int KeyBytes => KeyAndKind & LogFormat.KeyBytesMask;

    public int MetadataBytes => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[LogFormat.MetadataBytesOffset..]);

    public int ValueBytes => Length - LogFormat.RecordHeaderBytes - KeyBytes - MetadataBytes;

    /// <summary>The key in UTF-8.</summary>
    public ReadOnlySpan<byte> Key => _bytes.Slice(LogFormat.RecordHeaderBytes, KeyBytes);

    /// <summary>The revision of the entry that a touch gives a new time to live. Requires: the record is a touch.</summary>
    public long TouchedRevision => BinaryPrimitives.ReadInt64LittleEndian(Value);

    public ReadOnlySpan<byte> Value => _bytes.Slice(LogFormat.RecordHeaderBytes + KeyBytes + MetadataBytes, ValueBytes);

    private bool HasSoundLengths => Kind switch
    {
        RecordKind.Put => KeyBytes > 0,
        RecordKind.Delete => KeyBytes > 0 && MetadataBytes == 0 && ValueBytes == 0,
        RecordKind.PutLarge => KeyBytes > 0 && ValueBytes is LogFormat.ReferenceBytes or LogFormat.ReferenceBytesOfVersion1,
        RecordKind.End => KeyBytes == 0 && MetadataBytes == 0 && ValueBytes == LogFormat.EndValueBytes,
        RecordKind.Touch => KeyBytes > 0 && MetadataBytes == 0 && ValueBytes == LogFormat.TouchValueBytes,
        RecordKind.Index => KeyBytes == 0 && MetadataBytes == 0 && ValueBytes % sizeof(long) == 0,
        _ => false,
    };

    private long RevisionAndRounding => BinaryPrimitives.ReadInt64LittleEndian(_bytes[LogFormat.RevisionOffset..]);

    private int Length => BinaryPrimitives.ReadInt32LittleEndian(_bytes[LogFormat.LengthOffset..]);

    private ushort KeyAndKind => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[LogFormat.KeyBytesOffset..]);

    /// <summary>The room that a mutation takes.</summary>
    /// <exception cref="ArgumentException">It cannot be written.</exception>
    public static int SizeOf(in KvMutation mutation)
    {
        if (mutation.Key.Length is 0 or > LogFormat.KeyBytesMax
            || mutation.Metadata.Length > LogFormat.MetadataBytesMax
            || mutation.Value.Length > LogFormat.InlineValueBytesMax
            || mutation.Revision is <= 0 or > LogFormat.RevisionMax
            || mutation.TouchedRevision < 0
            || mutation.TouchedRevision >= mutation.Revision
            || mutation.DeadlineRounding > LogFormat.RoundingMax)
        {
            throw new ArgumentException(
                Invariant($"A mutation has a key of 1 to {LogFormat.KeyBytesMax} bytes, at most {LogFormat.MetadataBytesMax} bytes of metadata, at most {LogFormat.InlineValueBytesMax} bytes of value, a revision of 1 to {LogFormat.RevisionMax}, and a touched revision from 0 to less than that; this one has {mutation.Key.Length}, {mutation.Metadata.Length}, {mutation.Value.Length}, {mutation.Revision} and {mutation.TouchedRevision}."),
                nameof(mutation));
        }

        var valueBytes = mutation.LargeValue.IsNone ? mutation.Value.Length : ReferenceBytesOf(mutation.LargeValue);
        var size = mutation.IsDelete
            ? LogFormat.RecordBytes(mutation.Key.Length, 0, 0)
            : IsTouch(mutation) ? LogFormat.RecordBytes(mutation.Key.Length, 0, LogFormat.TouchValueBytes)
            : LogFormat.RecordBytes(mutation.Key.Length, mutation.Metadata.Length, valueBytes);
        return size <= LogFormat.UnflushedBytesMax
            ? size
            : throw new ArgumentException(
                Invariant($"A mutation takes {size} bytes of the log; at most {LogFormat.UnflushedBytesMax} are allowed. Keep its value with {nameof(IKvPersistence)}.{nameof(IKvPersistence.LargeValues)}."),
                nameof(mutation));
    }

    /// <summary>Lays out a mutation in exactly the room that it takes; <see cref="Seal"/> completes it.</summary>
    public static void Lay(Span<byte> destination, in KvMutation mutation)
    {
        if (mutation.IsDelete)
        {
            LayHeader(destination, RecordKind.Delete, mutation.Revision, 0, mutation.Key.Length, 0, 0);
            mutation.Key.Span.CopyTo(destination[LogFormat.RecordHeaderBytes..]);
            return;
        }

        if (IsTouch(mutation))
        {
            LayHeader(
                destination,
                RecordKind.Touch,
                mutation.Revision | ((long)mutation.DeadlineRounding << LogFormat.RoundingShift),
                mutation.DeadlineSeconds,
                mutation.Key.Length,
                0,
                LogFormat.TouchValueBytes);
            mutation.Key.Span.CopyTo(destination[LogFormat.RecordHeaderBytes..]);
            BinaryPrimitives.WriteInt64LittleEndian(destination[(LogFormat.RecordHeaderBytes + mutation.Key.Length)..], mutation.TouchedRevision);
            return;
        }

        var isLarge = !mutation.LargeValue.IsNone;
        var valueBytes = isLarge ? ReferenceBytesOf(mutation.LargeValue) : mutation.Value.Length;
        LayHeader(
            destination,
            isLarge ? RecordKind.PutLarge : RecordKind.Put,
            mutation.Revision | ((long)mutation.DeadlineRounding << LogFormat.RoundingShift),
            mutation.DeadlineSeconds,
            mutation.Key.Length,
            mutation.Metadata.Length,
            valueBytes);
        var body = destination[LogFormat.RecordHeaderBytes..];
        mutation.Key.Span.CopyTo(body);
        body = body[mutation.Key.Length..];
        if (mutation.Metadata.Length > 0)
        {
            mutation.Metadata.Span.CopyTo(body);
            body = body[mutation.Metadata.Length..];
        }

        if (isLarge)
        {
            BinaryPrimitives.WriteInt64LittleEndian(body, mutation.LargeValue.Id);
            BinaryPrimitives.WriteInt64LittleEndian(body[sizeof(long)..], mutation.LargeValue.Length);
            if (mutation.LargeValue.Check != 0)
            {
                BinaryPrimitives.WriteInt64LittleEndian(body[(2 * sizeof(long))..], mutation.LargeValue.Check);
            }
        }
        else
        {
            mutation.Value.Span.CopyTo(body);
        }
    }

    /// <summary>Lays out the end of a file.</summary>
    public static void LayEnd(Span<byte> destination, in FileEnd end)
    {
        LayHeader(destination, RecordKind.End, end.HighestRevision, 0, 0, 0, LogFormat.EndValueBytes);
        var value = destination[LogFormat.RecordHeaderBytes..];
        BinaryPrimitives.WriteInt64LittleEndian(value, end.Records);
        BinaryPrimitives.WriteInt64LittleEndian(value[8..], end.PayloadBytes);
        BinaryPrimitives.WriteInt64LittleEndian(value[16..], end.IndexOffset);
    }

    /// <summary>Lays out the index of a snapshot.</summary>
    public static void LayIndex(Span<byte> destination, ReadOnlySpan<long> chunkOffsets)
    {
        LayHeader(destination, RecordKind.Index, 0, 0, 0, 0, chunkOffsets.Length * sizeof(long));
        for (var i = 0; i < chunkOffsets.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(destination[(LogFormat.RecordHeaderBytes + (i * sizeof(long)))..], chunkOffsets[i]);
        }
    }

    /// <summary>The room of the record that was laid out at the start of some bytes.</summary>
    public static int SizeAt(ReadOnlySpan<byte> bytes) =>
        LogFormat.Align(BinaryPrimitives.ReadInt32LittleEndian(bytes[LogFormat.LengthOffset..]));

    /// <summary>The kind of the record that was laid out at the start of some bytes.</summary>
    public static RecordKind KindAt(ReadOnlySpan<byte> bytes) =>
        (RecordKind)(BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.KeyBytesOffset..]) >> LogFormat.KindShift);

    /// <summary>Completes a record that was laid out: nothing of it may change afterwards.</summary>
    /// <param name="record">The record.</param>
    /// <param name="seed">The seed of the file that it goes to.</param>
    /// <param name="flushedThrough">Below this offset everything in that file is on the disk.</param>
    public static void Seal(Span<byte> record, uint seed, uint flushedThrough)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(record[LogFormat.FlushedThroughOffset..], flushedThrough);
        BinaryPrimitives.WriteUInt32LittleEndian(
            record[LogFormat.ChecksumOffset..], Crc32C.Append(seed, record[LogFormat.LengthOffset..]));
    }

    /// <summary>The checksum of a record that was sealed.</summary>
    public static uint ChecksumOf(ReadOnlySpan<byte> record) => BinaryPrimitives.ReadUInt32LittleEndian(record[LogFormat.ChecksumOffset..]);

    /// <summary>Reads the record at the start of some bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <param name="seed">The seed of the file.</param>
    /// <param name="record">The record.</param>
    /// <param name="verifies">Whether the checksum must be right; otherwise only the lengths.</param>
    public static RecordOutcome TryRead(ReadOnlySpan<byte> bytes, uint seed, out LogRecord record, bool verifies = true)
    {
        record = default;
        if (bytes.Length < LogFormat.RecordHeaderBytes)
        {
            return RecordOutcome.Cut;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[LogFormat.LengthOffset..]);
        var keyAndKind = BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.KeyBytesOffset..]);
        var metadataBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.MetadataBytesOffset..]);
        var keyBytes = keyAndKind & LogFormat.KeyBytesMask;
        if (length < LogFormat.RecordHeaderBytes + keyBytes + metadataBytes || length > LogFormat.RecordBytesMax)
        {
            return RecordOutcome.Wrong;
        }

        var size = LogFormat.Align(length);
        if (size > bytes.Length)
        {
            return RecordOutcome.Cut;
        }

        bytes = bytes[..size];
        if (verifies && BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Crc32C.Append(seed, bytes[LogFormat.LengthOffset..]))
        {
            return RecordOutcome.Wrong;
        }

        record = new LogRecord(bytes);
        return IsSound(record) ? RecordOutcome.Whole : RecordOutcome.Wrong;
    }

    /// <summary>The room of the record that seems to begin here, if it could be one.</summary>
    public static int ClaimedSize(ReadOnlySpan<byte> bytes)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(bytes[LogFormat.LengthOffset..]);
        return length < LogFormat.RecordHeaderBytes || length > LogFormat.RecordBytesMax ? 0 : LogFormat.Align(length);
    }

    /// <summary>Whether the bytes, at least a header, could be the beginning of a record at an offset.</summary>
    public static bool IsPlausible(ReadOnlySpan<byte> bytes, long offset)
    {
        // The header alone says enough; nothing behind it is looked at.
        var header = new LogRecord(bytes[..LogFormat.RecordHeaderBytes]);
        return header.Length >= LogFormat.RecordHeaderBytes
            && header.Length <= LogFormat.RecordBytesMax
            && header.FlushedThrough <= offset
            && header.ValueBytes >= 0
            && header.HasSoundLengths;
    }

    /// <summary>The mutation, as a view on the same bytes.</summary>
    /// <param name="memory">The memory that the record was read from, from its first byte on.</param>
    public KvMutation ToMutation(ReadOnlyMemory<byte> memory)
    {
        var keyBytes = KeyBytes;
        var metadataBytes = MetadataBytes;
        var kind = Kind;
        return new KvMutation
        {
            Key = memory.Slice(LogFormat.RecordHeaderBytes, keyBytes),
            Metadata = memory.Slice(LogFormat.RecordHeaderBytes + keyBytes, metadataBytes),
            Value = kind == RecordKind.Put ? memory.Slice(LogFormat.RecordHeaderBytes + keyBytes + metadataBytes, ValueBytes) : default,
            LargeValue = kind == RecordKind.PutLarge ? ToReference() : default,
            Revision = Revision,
            DeadlineSeconds = DeadlineSeconds,
            DeadlineRounding = DeadlineRounding,
            IsDelete = kind == RecordKind.Delete,
            TouchedRevision = kind == RecordKind.Touch ? TouchedRevision : 0,
        };
    }

    /// <summary>The end of a file.</summary>
    public FileEnd ToEnd() => new(
        Revision,
        BinaryPrimitives.ReadInt64LittleEndian(Value),
        BinaryPrimitives.ReadInt64LittleEndian(Value[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(Value[16..]));

    // A right checksum over wrong fields is no accident of a disk, but costs nothing to be refused.
    private static bool IsSound(in LogRecord record) =>
        record.HasSoundLengths
        && record.Kind switch
        {
            RecordKind.Put or RecordKind.Delete => record.Revision is > 0 and <= LogFormat.RevisionMax,
            RecordKind.PutLarge => record.Revision is > 0 and <= LogFormat.RevisionMax
                && record.ToReference() is { Id: > 0 and <= LogFormat.ValueIdMax, Length: >= 0 and <= LogFormat.LargeValueBytesMax },
            RecordKind.Touch => record.Revision is > 0 and <= LogFormat.RevisionMax
                && record.TouchedRevision > 0 && record.TouchedRevision < record.Revision,
            RecordKind.End => record.Revision is >= 0 and <= LogFormat.RevisionMax
                && record.ToEnd() is { Records: >= 0, PayloadBytes: >= 0, IndexOffset: >= 0 },
            _ => true,
        };

    // A touch of an entry whose value is in a file is written as a put, which is as short and needs no other record.
    private static bool IsTouch(in KvMutation mutation) => mutation.TouchedRevision != 0 && mutation.LargeValue.IsNone;

    private static int ReferenceBytesOf(KvValueReference reference) =>
        reference.Check == 0 ? LogFormat.ReferenceBytesOfVersion1 : LogFormat.ReferenceBytes;

    private static void LayHeader(
        Span<byte> destination, RecordKind kind, long revision, uint deadline, int keyBytes, int metadataBytes, int valueBytes)
    {
        // What aligns the next record is the only part that nothing else writes.
        destination[^LogFormat.Alignment..].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(
            destination[LogFormat.LengthOffset..], LogFormat.RecordHeaderBytes + keyBytes + metadataBytes + valueBytes);
        BinaryPrimitives.WriteInt64LittleEndian(destination[LogFormat.RevisionOffset..], revision);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[LogFormat.DeadlineOffset..], deadline);
        BinaryPrimitives.WriteUInt16LittleEndian(
            destination[LogFormat.KeyBytesOffset..], (ushort)(keyBytes | ((int)kind << LogFormat.KindShift)));
        BinaryPrimitives.WriteUInt16LittleEndian(destination[LogFormat.MetadataBytesOffset..], (ushort)metadataBytes);
    }

    private KvValueReference ToReference() =>
        new(BinaryPrimitives.ReadInt64LittleEndian(Value), BinaryPrimitives.ReadInt64LittleEndian(Value[sizeof(long)..]))
        {
            Check = ValueBytes == LogFormat.ReferenceBytes ? BinaryPrimitives.ReadInt64LittleEndian(Value[(2 * sizeof(long))..]) : 0,
        };
}

/// <summary>What the last record of a finished file says about it.</summary>
/// <param name="HighestRevision">The highest revision in this file and in all before it.</param>
/// <param name="Records">The puts and deletes in the file.</param>
/// <param name="PayloadBytes">The bytes of their keys, metadata and values.</param>
/// <param name="IndexOffset">Where the chunk index of a snapshot begins; 0 for none.</param>
internal readonly record struct FileEnd(long HighestRevision, long Records, long PayloadBytes, long IndexOffset = 0);
