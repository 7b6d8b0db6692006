namespace KvStore.Persistence.Log;

/// <summary>
/// The sizes, offsets and kinds of the format on disk, version 3, which <c>docs/FORMAT.md</c> draws. Every number is little-endian.
/// Nothing outside this file and <see cref="LogRecord"/>, <see cref="FileHeader"/>, <see cref="Manifest"/> and <see cref="FileNames"/> knows them.
/// </summary>
internal static class LogFormat
{
    /// <summary>The version that is written. Every lower one can be read.</summary>
    public const int Version = 3;

    /// <summary>A file begins with a header of this length.</summary>
    public const int HeaderBytes = 64;

    /// <summary>A file of version 1 begins with a header of this length.</summary>
    public const int HeaderBytesOfVersion1 = 32;

    /// <summary>The header's first eight bytes, without the version.</summary>
    public static ReadOnlySpan<byte> Magic => "KvStore\n"u8;

    // Header: magic, version (4), kind (2), flags (2), number (8), directory (16), check (8), reserved (12), checksum of all
    // before it (4). Version 1: magic, version (4), kind (2), flags (2), number (8), reserved (4), checksum (4).
    public const int HeaderVersionOffset = 8;
    public const int HeaderKindOffset = 12;
    public const int HeaderFlagsOffset = 14;
    public const int HeaderNumberOffset = 16;
    public const int HeaderDirectoryOffset = 24;
    public const int HeaderCheckOffset = 40;
    public const int HeaderReservedOffset = 48;
    public const int HeaderChecksumOffset = 60;
    public const int HeaderChecksumOffsetOfVersion1 = 28;

    /// <summary>A flag of a header: the file had another number before, so that bytes of old records follow the last new one.</summary>
    public const ushort RecycledFlag = 1;

    /// <summary>Records begin at multiples of this.</summary>
    public const int Alignment = 8;

    /// <summary>A record begins with a header of this length.</summary>
    public const int RecordHeaderBytes = 28;

    // Record: checksum (4), length (4), revision (8), deadline (4), flushed through (4), key length and kind (2),
    // metadata length (2), key, metadata, value, zeros up to the alignment.
    public const int ChecksumOffset = 0;
    public const int LengthOffset = 4;
    public const int RevisionOffset = 8;
    public const int DeadlineOffset = 16;
    public const int FlushedThroughOffset = 20;
    public const int KeyBytesOffset = 24;
    public const int MetadataBytesOffset = 26;

    /// <summary>
    /// At most so much of a log is not flushed at any time: the writer flushes before it would write more, and a reader that
    /// finds a damaged place looks exactly so far for a later record, which says whether the place had been on the disk.
    /// </summary>
    public const int UnflushedBytesMax = 20 * 1024 * 1024;

    /// <summary>The low bits of the field with the key's length; the kind stands above them.</summary>
    public const int KeyBytesMask = 0x0FFF;
    public const int KindShift = 12;

    public const int KeyBytesMax = KeyBytesMask;
    public const int MetadataBytesMax = ushort.MaxValue;

    /// <summary>No revision is higher, so that those that follow can still be counted: memory keeps 60 bits.</summary>
    public const long RevisionMax = 15L << 56;

    /// <summary>No large value has a higher number.</summary>
    public const long ValueIdMax = 1L << 62;

    /// <summary>No large value is longer: more than any disk has room for, and less than what overflows.</summary>
    public const long LargeValueBytesMax = 1L << 56;

    /// <summary>No value in a record is longer; longer ones have files of their own.</summary>
    public const int InlineValueBytesMax = 16 * 1024 * 1024;

    /// <summary>No record is longer, whatever its length field says.</summary>
    public static readonly int RecordBytesMax = RecordBytes(KeyBytesMax, MetadataBytesMax, InlineValueBytesMax);

    /// <summary>The value of a record that refers to a value file: its number (8), the length of the value (8), the check of the file (8).</summary>
    public const int ReferenceBytes = 24;

    /// <summary>As <see cref="ReferenceBytes"/>, where the value file is of version 1, which has no check.</summary>
    public const int ReferenceBytesOfVersion1 = 16;

    /// <summary>The value of a record of a touch: the revision of the entry that was touched.</summary>
    public const int TouchValueBytes = sizeof(long);

    /// <summary>The low bits of the field with the revision; how the deadline was rounded stands above them.</summary>
    public const long RevisionMask = (1L << RoundingShift) - 1;
    public const int RoundingShift = 62;

    /// <summary>The highest <see cref="KvMutation.DeadlineRounding"/>.</summary>
    public const byte RoundingMax = 3;

    /// <summary>The value of an end: records before it (8), bytes of their keys, metadata and values (8), where the chunk index begins, or 0 (8).</summary>
    public const int EndValueBytes = 24;

    /// <summary>The length of an end record.</summary>
    public const int EndBytes = (RecordHeaderBytes + EndValueBytes + Alignment - 1) & -Alignment;

    /// <summary>A value file has blocks of this length after its header: a checksum (4), then bytes of the value.</summary>
    public const int ValueBlockBytes = 64 * 1024;

    /// <summary>How many bytes of the value a block holds; the last one may hold fewer.</summary>
    public const int ValueBlockDataBytes = ValueBlockBytes - sizeof(uint);

    /// <summary>The length of the file that holds a large value.</summary>
    public static long ValueFileBytes(KvValueReference reference) =>
        (reference.Check == 0 ? HeaderBytesOfVersion1 : HeaderBytes)
        + reference.Length + (((reference.Length + ValueBlockDataBytes - 1) / ValueBlockDataBytes) * sizeof(uint));

    /// <summary>The room that a record takes.</summary>
    public static int RecordBytes(int keyBytes, int metadataBytes, int valueBytes) =>
        Align(RecordHeaderBytes + keyBytes + metadataBytes + valueBytes);

    /// <summary>The next place where a record may begin.</summary>
    public static int Align(int length) => (length + Alignment - 1) & -Alignment;
}

/// <summary>What a file is.</summary>
internal enum FileKind : ushort
{
    Log = 1,
    Snapshot = 2,
    Value = 3,
    Manifest = 4,
}

/// <summary>What a record says.</summary>
internal enum RecordKind : byte
{
    Put = 1,
    Delete = 2,

    /// <summary>A put whose value is in a file of its own.</summary>
    PutLarge = 3,

    /// <summary>The file ends here.</summary>
    End = 4,

    /// <summary>Where in a snapshot the chunks begin that can be read independently of each other.</summary>
    Index = 5,

    /// <summary>An entry got a new time to live. Only in logs of version 3.</summary>
    Touch = 6,
}
