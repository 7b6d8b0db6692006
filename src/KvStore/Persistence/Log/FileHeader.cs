using System.Buffers.Binary;
using System.Security.Cryptography;
using KvStore.Persistence.Storage;
using KvStore.Records;

namespace KvStore.Persistence.Log;

/// <summary>The header of a file, read and found right.</summary>
/// <param name="Kind">What the file is.</param>
/// <param name="Number">Its number, the same as in its name.</param>
/// <param name="Version">The format version of the file.</param>
/// <param name="Directory">The directory that it was made for; empty in version 1, which does not say.</param>
/// <param name="Check">A random number that tells it from every other file of its kind and number; 0 in version 1.</param>
/// <param name="IsRecycled">Whether bytes of older records may follow the last one.</param>
/// <param name="Seed">Where the checksum of each of its records begins, so that a record counts in its own file only.</param>
internal readonly record struct FileHeader(FileKind Kind, long Number, int Version, Guid Directory, long Check, bool IsRecycled, uint Seed)
{
    /// <summary>The length of the header.</summary>
    public int Bytes => BytesOf(Version);

    /// <summary>Writes the header of a new file.</summary>
    /// <param name="destination">Where; what follows the header is left as it is.</param>
    /// <param name="kind">What the file is.</param>
    /// <param name="number">Its number.</param>
    /// <param name="directory">The directory that it is made for.</param>
    /// <param name="isRecycled">Whether bytes of older records may follow the last one.</param>
    public static FileHeader Write(Span<byte> destination, FileKind kind, long number, Guid directory, bool isRecycled = false)
    {
        var bytes = destination[..LogFormat.HeaderBytes];
        LogFormat.Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[LogFormat.HeaderVersionOffset..], LogFormat.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[LogFormat.HeaderKindOffset..], (ushort)kind);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[LogFormat.HeaderFlagsOffset..], isRecycled ? LogFormat.RecycledFlag : (ushort)0);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[LogFormat.HeaderNumberOffset..], number);
        directory.TryWriteBytes(bytes[LogFormat.HeaderDirectoryOffset..], bigEndian: true, out _);
        var check = NewCheck();
        BinaryPrimitives.WriteInt64LittleEndian(bytes[LogFormat.HeaderCheckOffset..], check);
        bytes[LogFormat.HeaderReservedOffset..LogFormat.HeaderChecksumOffset].Clear();
        var checksum = Crc32C.Compute(bytes[..LogFormat.HeaderChecksumOffset]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[LogFormat.HeaderChecksumOffset..], checksum);
        return new FileHeader(kind, number, LogFormat.Version, directory, check, isRecycled, SeedOf(checksum));
    }

    /// <summary>Reads the header of a file and holds it against the file's name.</summary>
    /// <exception cref="KvDamagedFileException">It is not the header of this file.</exception>
    /// <exception cref="KvPersistenceException">Its version is unknown.</exception>
    public static FileHeader Read(IStorageFile file, string path, FileKind kind, long number)
    {
        Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
        return Parse(bytes[..file.Read(bytes, 0)], path, kind, number);
    }

    /// <summary>As <see cref="Read"/>, from the first bytes of a file.</summary>
    /// <param name="bytes">The beginning of the file, at least as long as a header if the file is.</param>
    /// <param name="path">The file, for messages.</param>
    /// <param name="kind">What it should be.</param>
    /// <param name="number">The number that it should have; 0 for any.</param>
    public static FileHeader Parse(ReadOnlySpan<byte> bytes, string path, FileKind kind, long number)
    {
        if (bytes.Length < LogFormat.HeaderBytesOfVersion1)
        {
            throw new KvDamagedFileException(path, bytes.Length, "the file ends within its header");
        }

        if (!bytes.StartsWith(LogFormat.Magic))
        {
            throw new KvDamagedFileException(path, 0, "the file does not begin as one of KvStore does");
        }

        // Before the checksum: another version may have it elsewhere.
        var version = BinaryPrimitives.ReadInt32LittleEndian(bytes[LogFormat.HeaderVersionOffset..]);
        if (version is < 1 or > LogFormat.Version)
        {
            throw new KvPersistenceException(
                Invariant($"{path} has format version {version}; this version of KvStore reads versions 1 to {LogFormat.Version}. Open it with the version that wrote it, or a newer one."));
        }

        if (bytes.Length < BytesOf(version))
        {
            throw new KvDamagedFileException(path, bytes.Length, "the file ends within its header");
        }

        bytes = bytes[..BytesOf(version)];
        var checksum = BinaryPrimitives.ReadUInt32LittleEndian(bytes[^sizeof(uint)..]);
        if (checksum != Crc32C.Compute(bytes[..^sizeof(uint)]))
        {
            throw new KvDamagedFileException(path, 0, "the checksum of the header is wrong");
        }

        var header = new FileHeader(
            (FileKind)BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.HeaderKindOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[LogFormat.HeaderNumberOffset..]),
            version,
            version == 1 ? Guid.Empty : new Guid(bytes.Slice(LogFormat.HeaderDirectoryOffset, 16), bigEndian: true),
            version == 1 ? 0 : BinaryPrimitives.ReadInt64LittleEndian(bytes[LogFormat.HeaderCheckOffset..]),
            (BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.HeaderFlagsOffset..]) & LogFormat.RecycledFlag) != 0,
            SeedOf(checksum));
        if (header.Kind != kind || (number != 0 && header.Number != number))
        {
            throw new KvDamagedFileException(
                path, 0, Invariant($"the header is that of {NameOf(header.Kind)} {header.Number}, which is not what the name says"));
        }

        return header;
    }

    /// <summary>
    /// Whether the spare log in a directory is one that was made for it, and not a file of somebody else that happens to have
    /// its name.
    /// </summary>
    public static bool IsOwnSpare(IStorage storage, Guid directory)
    {
        if (!storage.Exists(FileNames.Spare))
        {
            return false;
        }

        using var file = storage.Open(FileNames.Spare, isWritable: false);
        Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
        try
        {
            var header = Parse(bytes[..file.Read(bytes, 0)], storage.PathOf(FileNames.Spare), FileKind.Log, 0);
            return header.Version == 1 || header.Directory == directory;
        }
        catch (KvPersistenceException)
        {
            return false;
        }
    }

    private static int BytesOf(int version) => version == 1 ? LogFormat.HeaderBytesOfVersion1 : LogFormat.HeaderBytes;

    private static string NameOf(FileKind kind) => kind switch
    {
        FileKind.Log => "log file",
        FileKind.Snapshot => "snapshot file",
        FileKind.Value => "value file",
        FileKind.Manifest => "manifest",
        _ => "a file of an unknown kind with the number",
    };

    private static long NewCheck()
    {
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        RandomNumberGenerator.Fill(bytes);

        // 0 stands for none.
        return BinaryPrimitives.ReadInt64LittleEndian(bytes) | 1;
    }

    private static uint SeedOf(uint headerChecksum)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, headerChecksum);
        return Crc32C.Compute(bytes);
    }
}
