using System.Buffers.Binary;
using System.Collections.Immutable;
using KvStore.Persistence.Storage;
using KvStore.Records;

namespace KvStore.Persistence.Log;

/// <summary>What a directory was last left as.</summary>
internal enum ManifestState : ushort
{
    /// <summary>A process writes to it, or crashed: the last log may lack its end.</summary>
    Open = 1,

    /// <summary>It was closed: every log has its end.</summary>
    Closed = 2,

    /// <summary>A copy is being made in it, and is not complete.</summary>
    Copying = 3,
}

/// <summary>A log or a snapshot that belongs to a directory.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Number">Its number.</param>
/// <param name="Check">The check in its header; 0 for a file of version 1.</param>
/// <param name="EndOffset">Where its end record begins; 0 while it is not finished.</param>
/// <param name="EndChecksum">The checksum of its end record.</param>
internal readonly record struct ListedFile(FileKind Kind, long Number, long Check, long EndOffset = 0, uint EndChecksum = 0)
{
    public bool IsFinished => EndOffset != 0;

    public string Name => Kind == FileKind.Log ? FileNames.Log(Number) : FileNames.Snapshot(Number);
}

/// <summary>
/// What a directory consists of: read before anything else, so that what is missing, foreign or older is noticed.
/// Immutable; <see cref="OpenManifest"/> replaces it.
/// </summary>
/// <remarks>
/// <para>The file is replaced as a whole: written under a temporary name, flushed, renamed, the directory flushed.</para>
/// <para>A file is made before it is listed, and removed after it is no longer listed. So what is listed is always there, and
/// what is not listed is left over from a crash or does not belong here.</para>
/// </remarks>
internal sealed record Manifest
{
    private const int StateOffset = LogFormat.HeaderBytes;
    private const int CountOffset = StateOffset + 4;
    private const int ValueIdLimitOffset = CountOffset + 4;
    private const int LatestSecondsOffset = ValueIdLimitOffset + 8;
    private const int EntriesOffset = LatestSecondsOffset + 8;
    private const int EntryBytes = 32;
    private const int BlockBytes = 4096;
    private const int BytesMin = EntriesOffset + sizeof(uint);

    // 130,000 files. No directory has so many; a damaged manifest must not make us take the memory for more.
    private const int BytesMax = 4 * 1024 * 1024;

    /// <summary>The identity of the directory, made once. Every file of it has it in its header.</summary>
    public required Guid Directory { get; init; }

    /// <summary>How often it was replaced.</summary>
    public required long Sequence { get; init; }

    public required ManifestState State { get; init; }

    /// <summary>No large value ever had a higher number. Numbers are reserved ahead, so most of them were never given.</summary>
    public required long ValueIdLimit { get; init; }

    /// <summary>
    /// The latest time that was seen, in seconds since the Unix epoch: the file of a large value whose deadline is not later may
    /// have been removed, even when the clock says now that it is not over.
    /// </summary>
    public required long LatestSeconds { get; init; }

    /// <summary>The newest snapshot, if there is one, then the logs after it in order.</summary>
    public required ImmutableArray<ListedFile> Files { get; init; }

    /// <summary>The number of the snapshot; 0 when there is none.</summary>
    public long SnapshotNumber => Snapshot?.Number ?? 0;

    public ListedFile? Snapshot => Files is [{ Kind: FileKind.Snapshot } first, ..] ? first : null;

    public ReadOnlySpan<ListedFile> Logs => Files.AsSpan()[(Snapshot is null ? 0 : 1)..];

    /// <summary>The highest number of a log that is listed, or that the snapshot stands for.</summary>
    public long LastNumber => Files is [.., var last] ? last.Number : 0;

    /// <summary>The manifest of a directory that is new, or of version 1.</summary>
    public static Manifest New(Guid directory) => new()
    {
        Directory = directory,
        Sequence = 0,
        State = ManifestState.Open,
        ValueIdLimit = 0,
        LatestSeconds = 0,
        Files = [],
    };

    /// <summary>A time as <see cref="LatestSeconds"/> has it: rounded up, since what is over at half a second has its deadline at the next second.</summary>
    public static long SecondsOf(DateTimeOffset time) => time.ToUnixTimeSeconds() + (time.UtcTicks % TimeSpan.TicksPerSecond == 0 ? 0 : 1);

    /// <summary>Whether it may be the first one of a directory, which says nothing yet.</summary>
    public bool IsFirst => Sequence == 1 && State == ManifestState.Open && Files.IsEmpty && ValueIdLimit == 0;

    /// <summary>Reads the manifest of a directory.</summary>
    /// <param name="storage">The directory.</param>
    /// <param name="name">The file.</param>
    /// <returns>Null when there is none.</returns>
    /// <exception cref="KvDamagedFileException">It is not as it was written.</exception>
    /// <exception cref="KvPersistenceException">Its version is unknown.</exception>
    public static Manifest? Read(IStorage storage, string name = FileNames.Manifest)
    {
        if (!storage.Exists(name))
        {
            return null;
        }

        var path = storage.PathOf(name);
        using var file = storage.Open(name, isWritable: false);
        var length = file.Length;
        if (length > BytesMax)
        {
            throw new KvDamagedFileException(path, BytesMax, "the file is longer than a manifest can be");
        }

        var bytes = new byte[length];
        return Parse(bytes.AsSpan(0, file.Read(bytes, 0)), path);
    }

    /// <summary>Reads the bytes of a manifest.</summary>
    /// <exception cref="KvDamagedFileException">They are none.</exception>
    public static Manifest Parse(ReadOnlySpan<byte> bytes, string path)
    {
        var header = FileHeader.Parse(bytes, path, FileKind.Manifest, 0);
        if (header.Version == 1)
        {
            throw new KvDamagedFileException(path, 0, "the header is of version 1, which has no manifests");
        }

        if (bytes.Length < BytesMin)
        {
            throw new KvDamagedFileException(path, bytes.Length, "the file ends within the manifest");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[^sizeof(uint)..])
            != Crc32C.Append(header.Seed, bytes[LogFormat.HeaderBytes..^sizeof(uint)]))
        {
            throw new KvDamagedFileException(path, LogFormat.HeaderBytes, "the checksum of the manifest is wrong");
        }

        var count = BinaryPrimitives.ReadUInt32LittleEndian(bytes[CountOffset..]);
        var manifest = new Manifest
        {
            Directory = header.Directory,
            Sequence = header.Number,
            State = (ManifestState)BinaryPrimitives.ReadUInt16LittleEndian(bytes[StateOffset..]),
            ValueIdLimit = BinaryPrimitives.ReadInt64LittleEndian(bytes[ValueIdLimitOffset..]),
            LatestSeconds = BinaryPrimitives.ReadInt64LittleEndian(bytes[LatestSecondsOffset..]),
            Files = bytes.Length == BytesMin + ((long)count * EntryBytes) ? ReadEntries(bytes[EntriesOffset..^sizeof(uint)]) : default,
        };

        // A right checksum over wrong fields is no accident, but must not do harm either.
        return manifest.IsSound
            ? manifest
            : throw new KvDamagedFileException(path, LogFormat.HeaderBytes, "the checksum of the manifest is right, but what it says cannot be");
    }

    /// <summary>The space on the disk that the manifest needs when one more log is begun: of whole blocks, as file systems give it.</summary>
    public int SpaceBytes => (LengthWith(Files.Length + 1) + BlockBytes - 1) / BlockBytes * BlockBytes;

    /// <summary>Takes the space on the disk for the next manifest, which has one file more at most.</summary>
    public void TakeSpace(IStorage storage)
    {
        var name = FileNames.Temporary(FileNames.Manifest);
        if (storage.Exists(name))
        {
            storage.Delete(name);
        }

        using var file = storage.Create(name);
        file.Write(new byte[LengthWith(Files.Length + 1)], 0);
    }

    /// <summary>Puts it on the disk in place of the one that is there.</summary>
    /// <param name="storage">The disk.</param>
    /// <param name="hasSpace">Whether <see cref="TakeSpace"/> was called just before.</param>
    public void Write(IStorage storage, bool hasSpace = false)
    {
        var bytes = new byte[LengthWith(Files.Length)];
        var header = FileHeader.Write(bytes, FileKind.Manifest, Sequence, Directory);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(StateOffset), (ushort)State);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(CountOffset), Files.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(ValueIdLimitOffset), ValueIdLimit);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(LatestSecondsOffset), LatestSeconds);
        for (var i = 0; i < Files.Length; i++)
        {
            WriteEntry(bytes.AsSpan(EntriesOffset + (i * EntryBytes), EntryBytes), Files[i]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(
            bytes.AsSpan(bytes.Length - sizeof(uint)),
            Crc32C.Append(header.Seed, bytes.AsSpan(LogFormat.HeaderBytes..^sizeof(uint))));
        Replace(storage, bytes, State == ManifestState.Copying ? FileNames.CopyManifest : FileNames.Temporary(FileNames.Manifest), hasSpace);
    }

    private static int LengthWith(int files) => BytesMin + (files * EntryBytes);

    private static void Replace(IStorage storage, byte[] bytes, string temporary, bool hasSpace)
    {
        if (!hasSpace && storage.Exists(temporary))
        {
            // An attempt before this one failed.
            storage.Delete(temporary);
        }

        using (var file = hasSpace ? storage.Open(temporary, isWritable: true) : storage.Create(temporary))
        {
            file.Write(bytes, 0);
            if (file.Length > bytes.Length)
            {
                file.SetLength(bytes.Length);
            }

            Flushing.Flush(file);
        }

        storage.Rename(temporary, FileNames.Manifest);
        Flushing.FlushDirectory(storage);
    }

    private static ImmutableArray<ListedFile> ReadEntries(ReadOnlySpan<byte> bytes)
    {
        var files = ImmutableArray.CreateBuilder<ListedFile>(bytes.Length / EntryBytes);
        for (; !bytes.IsEmpty; bytes = bytes[EntryBytes..])
        {
            files.Add(new ListedFile(
                (FileKind)BinaryPrimitives.ReadUInt16LittleEndian(bytes),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
                BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..])));
        }

        return files.MoveToImmutable();
    }

    private static void WriteEntry(Span<byte> bytes, in ListedFile file)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)file.Kind);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], file.EndChecksum);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], file.Number);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], file.Check);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[24..], file.EndOffset);
    }

    private bool IsSound
    {
        get
        {
            if (!Enum.IsDefined(State) || Files.IsDefault || ValueIdLimit < 0 || LatestSeconds < 0 || Sequence <= 0
                || Files is [{ Number: <= 0 }, ..])
            {
                return false;
            }

            for (var i = 0; i < Files.Length; i++)
            {
                var file = Files[i];
                var mustFinish = file.Kind == FileKind.Snapshot || State != ManifestState.Open || i < Files.Length - 1;
                if ((i == 0 ? file.Kind is not (FileKind.Log or FileKind.Snapshot) : file.Kind != FileKind.Log || file.Number != Files[i - 1].Number + 1)
                    || (i == 0 && file.Kind == FileKind.Log && file.Number != 1)
                    || (mustFinish && !file.IsFinished)
                    || (file.IsFinished && file.EndOffset < LogFormat.HeaderBytesOfVersion1))
                {
                    return false;
                }
            }

            return true;
        }
    }
}
