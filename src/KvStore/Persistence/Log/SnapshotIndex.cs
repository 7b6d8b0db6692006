using System.Buffers;
using System.Buffers.Binary;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>What the end and the index of a snapshot say, so that its parts can be read at the same time.</summary>
internal sealed class SnapshotIndex
{
    private SnapshotIndex(FileHeader header, FileEnd end, List<(long Start, long End)> chunks)
    {
        Header = header;
        End = end;
        Chunks = chunks;
    }

    public FileHeader Header { get; }

    public FileEnd End { get; }

    public List<(long Start, long End)> Chunks { get; }

    /// <summary>Reads them.</summary>
    /// <exception cref="KvDamagedFileException">They are not as they were written.</exception>
    public static SnapshotIndex Read(IStorage storage, long number)
    {
        var name = FileNames.Snapshot(number);
        var path = storage.PathOf(name);
        using var file = storage.Open(name, isWritable: false);
        var length = file.Length;
        var header = FileHeader.Read(file, path, FileKind.Snapshot, number);
        var endOffset = Math.Max(LogFormat.HeaderBytes, length - LogFormat.EndBytes);
        Span<byte> endBytes = stackalloc byte[LogFormat.EndBytes];
        if (file.Read(endBytes, endOffset) < endBytes.Length
            || LogRecord.TryRead(endBytes, header.Seed, out var endRecord) != RecordOutcome.Whole
            || endRecord.Kind != RecordKind.End)
        {
            throw new KvDamagedFileException(path, endOffset, "the snapshot does not end with its end record");
        }

        var end = endRecord.ToEnd();
        if (end.IndexOffset < LogFormat.HeaderBytes || end.IndexOffset > endOffset || endOffset - end.IndexOffset > int.MaxValue)
        {
            throw new KvDamagedFileException(path, endOffset, "the end record leads to no index");
        }

        return new SnapshotIndex(header, end, ReadIndex(file, path, header.Seed, end, (int)(endOffset - end.IndexOffset)));
    }

    private static List<(long Start, long End)> ReadIndex(IStorageFile file, string path, uint seed, FileEnd end, int size)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            var bytes = buffer.AsSpan(0, file.Read(buffer.AsSpan(0, size), end.IndexOffset));
            if (LogRecord.TryRead(bytes, seed, out var record) != RecordOutcome.Whole
                || record.Kind != RecordKind.Index || record.Size != size)
            {
                throw new KvDamagedFileException(path, end.IndexOffset, "the checksum of the index is wrong");
            }

            var chunks = new List<(long Start, long End)>(record.ValueBytes / sizeof(long));
            for (var value = record.Value; !value.IsEmpty; value = value[sizeof(long)..])
            {
                var start = BinaryPrimitives.ReadInt64LittleEndian(value);
                var next = value.Length > sizeof(long) ? BinaryPrimitives.ReadInt64LittleEndian(value[sizeof(long)..]) : end.IndexOffset;
                chunks.Add((start, next));
            }

            return chunks;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
