using System.Buffers;
using System.Buffers.Binary;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>What the end and the index of a snapshot say, so that its parts can be read at the same time.</summary>
internal sealed class SnapshotIndex
{
    private SnapshotIndex(FileHeader header, FileEnd end, long endOffset, uint endChecksum, List<(long Start, long End)> chunks)
    {
        Header = header;
        End = end;
        EndOffset = endOffset;
        EndChecksum = endChecksum;
        Chunks = chunks;
    }

    public FileHeader Header { get; }

    public FileEnd End { get; }

    /// <summary>Where the end record begins.</summary>
    public long EndOffset { get; }

    public uint EndChecksum { get; }

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
        var endOffset = Math.Max(header.Bytes, length - LogFormat.EndBytes);
        Span<byte> endBytes = stackalloc byte[LogFormat.EndBytes];
        if (file.Read(endBytes, endOffset) < endBytes.Length
            || LogRecord.TryRead(endBytes, header.Seed, out var endRecord) != RecordOutcome.Whole
            || endRecord.Kind != RecordKind.End)
        {
            throw new KvDamagedFileException(path, endOffset, "the snapshot does not end with its end record");
        }

        var end = endRecord.ToEnd();
        var indexBytes = endOffset - end.IndexOffset;
        if (end.IndexOffset < header.Bytes || end.IndexOffset > endOffset || indexBytes > IndexBytesMax(end.IndexOffset))
        {
            throw new KvDamagedFileException(path, endOffset, "the end record leads to no index");
        }

        // Memory is reserved by what it says, so it must be able to be true.
        if (end.Records > (end.IndexOffset - header.Bytes) / LogFormat.RecordBytes(1, 0, 0) || end.PayloadBytes > end.IndexOffset)
        {
            throw new KvDamagedFileException(path, endOffset, "the end record counts more than the file can hold");
        }

        var chunks = ReadIndex(file, path, header, end, (int)indexBytes);
        return new SnapshotIndex(header, end, endOffset, endRecord.Checksum, chunks);
    }

    // A chunk takes a megabyte or more, but for the last one.
    private static long IndexBytesMax(long indexOffset) =>
        LogFormat.RecordHeaderBytes + LogFormat.Alignment + (((indexOffset / SnapshotWriter.ChunkBytesMin) + 1) * sizeof(long));

    private static List<(long Start, long End)> ReadIndex(IStorageFile file, string path, in FileHeader header, FileEnd end, int size)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            var bytes = buffer.AsSpan(0, file.Read(buffer.AsSpan(0, size), end.IndexOffset));
            if (LogRecord.TryRead(bytes, header.Seed, out var record) != RecordOutcome.Whole
                || record.Kind != RecordKind.Index || record.Size != size)
            {
                throw new KvDamagedFileException(path, end.IndexOffset, "the checksum of the index is wrong");
            }

            var chunks = new List<(long Start, long End)>(record.ValueBytes / sizeof(long));
            for (var value = record.Value; !value.IsEmpty; value = value[sizeof(long)..])
            {
                var start = BinaryPrimitives.ReadInt64LittleEndian(value);
                var next = value.Length > sizeof(long) ? BinaryPrimitives.ReadInt64LittleEndian(value[sizeof(long)..]) : end.IndexOffset;
                if (start % LogFormat.Alignment != 0 || start >= next || next > end.IndexOffset)
                {
                    throw new KvDamagedFileException(path, end.IndexOffset, "the index leads to no records");
                }

                chunks.Add((start, next));
            }

            // All records are in the chunks.
            if ((chunks.Count == 0 ? end.IndexOffset : chunks[0].Start) != header.Bytes)
            {
                throw new KvDamagedFileException(path, end.IndexOffset, "the index leaves out records");
            }

            return chunks;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
