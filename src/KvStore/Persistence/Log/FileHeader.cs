using System.Buffers.Binary;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>The header of a file, read and found right.</summary>
/// <param name="Kind">What the file is.</param>
/// <param name="Number">Its number, the same as in its name.</param>
/// <param name="IsRecycled">Whether bytes of older records may follow the last one.</param>
/// <param name="Seed">Where the checksum of each of its records begins, so that a record counts in its own file only.</param>
internal readonly record struct FileHeader(FileKind Kind, long Number, bool IsRecycled, uint Seed)
{
    /// <summary>Writes a header.</summary>
    public static FileHeader Write(Span<byte> destination, FileKind kind, long number, bool isRecycled = false)
    {
        var bytes = destination[..LogFormat.HeaderBytes];
        LogFormat.Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[LogFormat.HeaderVersionOffset..], LogFormat.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[LogFormat.HeaderKindOffset..], (ushort)kind);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[LogFormat.HeaderFlagsOffset..], isRecycled ? LogFormat.RecycledFlag : (ushort)0);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[LogFormat.HeaderNumberOffset..], number);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[LogFormat.HeaderReservedOffset..], 0);
        var seed = Crc32C.Compute(bytes[..LogFormat.HeaderChecksumOffset]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[LogFormat.HeaderChecksumOffset..], seed);
        return new FileHeader(kind, number, isRecycled, SeedOf(seed));
    }

    /// <summary>Reads the header of a file and holds it against the file's name.</summary>
    /// <exception cref="KvDamagedFileException">It is not the header of this file.</exception>
    /// <exception cref="KvPersistenceException">Its version is unknown.</exception>
    public static FileHeader Read(IStorageFile file, string path, FileKind kind, long number)
    {
        Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
        var read = file.Read(bytes, 0);
        if (read < LogFormat.HeaderBytes)
        {
            throw new KvDamagedFileException(path, read, "the file ends within its header");
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

        var checksum = BinaryPrimitives.ReadUInt32LittleEndian(bytes[LogFormat.HeaderChecksumOffset..]);
        if (checksum != Crc32C.Compute(bytes[..LogFormat.HeaderChecksumOffset]))
        {
            throw new KvDamagedFileException(path, 0, "the checksum of the header is wrong");
        }

        var header = new FileHeader(
            (FileKind)BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.HeaderKindOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[LogFormat.HeaderNumberOffset..]),
            (BinaryPrimitives.ReadUInt16LittleEndian(bytes[LogFormat.HeaderFlagsOffset..]) & LogFormat.RecycledFlag) != 0,
            SeedOf(checksum));
        if (header.Kind != kind || header.Number != number)
        {
            throw new KvDamagedFileException(
                path, 0, Invariant($"the header is that of {header.Kind.ToString().ToLowerInvariant()} file {header.Number}, which is not what the name says"));
        }

        return header;
    }

    private static uint SeedOf(uint headerChecksum)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, headerChecksum);
        return Crc32C.Compute(bytes);
    }
}
