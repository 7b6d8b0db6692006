using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The first of two passes over a file of records: the end is found, and the file is divided into chunks that the second pass
/// can read independently of each other.
/// </summary>
/// <remarks>
/// Only the second pass recovers records, so that nothing behind a torn record is ever seen, however many threads read. A finished file
/// has no torn record, so this pass only goes from length to length until its end record; the second pass verifies the checksums, and a
/// wrong one is an error. The last log of a crash is verified here as well.
/// </remarks>
internal sealed class LogScan
{
    private const long ChunkBytes = 1024 * 1024;

    private LogScan(string name, long number)
    {
        Name = name;
        Number = number;
    }

    public string Name { get; }

    public long Number { get; }

    public FileHeader Header { get; private set; }

    /// <summary>What can be read, in parts of about a megabyte.</summary>
    public List<(long Start, long End)> Chunks { get; } = [];

    /// <summary>Whether the file was finished. Only the last log may not be.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Where the last record ends, the end record not counted.</summary>
    public long End { get; private set; }

    /// <summary>The checksum of the end record, if the file was finished.</summary>
    public uint EndChecksum { get; private set; }

    public long Records { get; private set; }

    /// <summary>How many of the records are touches.</summary>
    public long Touches { get; private set; }

    public long PayloadBytes { get; private set; }

    public long HighestRevision { get; private set; }

    /// <summary>What a crash left half-written at the end, if anything.</summary>
    public KvDamage? TornTail { get; private set; }

    /// <summary>What cannot be explained by a crash.</summary>
    public List<KvDamage> Damages { get; } = [];

    /// <summary>Scans a file.</summary>
    /// <param name="storage">Where it is.</param>
    /// <param name="kind">A log or a snapshot.</param>
    /// <param name="number">Its number.</param>
    /// <param name="isLast">Whether a crash may have left it without an end.</param>
    /// <param name="resumes">Whether to go on behind damage; otherwise the first is the last.</param>
    public static LogScan Run(IStorage storage, FileKind kind, long number, bool isLast, bool resumes) =>
        Run(storage, kind, number, isLast, resumes, verifies: resumes);

    /// <summary>Scans a finished log and verifies every checksum.</summary>
    public static LogScan Verify(IStorage storage, long number) =>
        Run(storage, FileKind.Log, number, isLast: false, resumes: false, verifies: true);

    private static LogScan Run(IStorage storage, FileKind kind, long number, bool isLast, bool resumes, bool verifies)
    {
        var name = kind == FileKind.Log ? FileNames.Log(number) : FileNames.Snapshot(number);
        var scan = new LogScan(name, number);
        using var file = storage.Open(name, isWritable: false);
        try
        {
            scan.Header = FileHeader.Read(file, storage.PathOf(name), kind, number);
            scan.End = scan.Header.Bytes;
            if (verifies || !scan.TryHop(file))
            {
                scan.Read(file, storage.PathOf(name), file.Length, isLast, resumes);
            }
        }
        catch (KvDamagedFileException e)
        {
            scan.Damages.Add(new KvDamage(e.File, e.Offset, e.Reason));
        }

        return scan;
    }

    private bool TryHop(IStorageFile file)
    {
        using var reader = new LogReader(file, Header.Seed, Header.Bytes, file.Length);
        var chunkStart = (long)Header.Bytes;
        var count = 0L;
        while (reader.TryRead(out var record, verifies: false))
        {
            var isTouch = record.Kind == RecordKind.Touch;
            if (record.Kind == RecordKind.End
                && LogRecord.TryRead(reader.Bytes.Span, Header.Seed, out record) == RecordOutcome.Whole
                && record.ToEnd() is var end && end.Records == count && end.PayloadBytes <= reader.Offset)
            {
                AddChunk(chunkStart, reader.Offset);
                End = reader.Offset;
                EndChecksum = record.Checksum;
                Records = end.Records;
                PayloadBytes = end.PayloadBytes;
                HighestRevision = end.HighestRevision;
                IsFinished = true;
                return true;
            }

            count++;
            Touches += isTouch ? 1 : 0;
            if (reader.NextOffset - chunkStart >= ChunkBytes)
            {
                AddChunk(chunkStart, reader.NextOffset);
                chunkStart = reader.NextOffset;
            }
        }

        // There is no end. Verifying every checksum finds the reason.
        Chunks.Clear();
        Touches = 0;
        return false;
    }

    private void Read(IStorageFile file, string path, long length, bool isLast, bool resumes)
    {
        var reader = new LogReader(file, Header.Seed, Header.Bytes, length);
        try
        {
            var chunkStart = (long)Header.Bytes;
            while (true)
            {
                if (reader.TryRead(out var record))
                {
                    HighestRevision = Math.Max(HighestRevision, record.Revision);
                    if (record.Kind is RecordKind.End or RecordKind.Index)
                    {
                        AddChunk(chunkStart, reader.Offset);
                        IsFinished = record.Kind == RecordKind.End;
                        if (IsFinished)
                        {
                            End = reader.Offset;
                            EndChecksum = record.Checksum;
                            return;
                        }

                        chunkStart = reader.NextOffset;
                        continue;
                    }

                    Records++;
                    Touches += record.Kind == RecordKind.Touch ? 1 : 0;
                    PayloadBytes += record.Size - LogFormat.RecordHeaderBytes;
                    End = reader.NextOffset;
                    if (End - chunkStart >= ChunkBytes)
                    {
                        AddChunk(chunkStart, End);
                        chunkStart = End;
                    }

                    continue;
                }

                AddChunk(chunkStart, reader.Offset);
                var damage = Explain(file, reader, path, length, isLast, out var resumesAt);
                if (damage is not null)
                {
                    Damages.Add(damage);
                }

                if (damage is null || !resumes || resumesAt is null)
                {
                    return;
                }

                chunkStart = resumesAt.Value;
                reader.Dispose();
                reader = new LogReader(file, Header.Seed, chunkStart, length);
            }
        }
        finally
        {
            reader.Dispose();
        }
    }

    private void AddChunk(long start, long end)
    {
        if (end > start)
        {
            Chunks.Add((start, end));
        }
    }

    /// <summary>
    /// Decides whether a place that cannot be read is the end that a crash left, or damage. It is damage when the file was finished, or
    /// when a later record says that this place was on the disk before that record was written.
    /// </summary>
    private KvDamage? Explain(IStorageFile file, LogReader reader, string path, long length, bool isLast, out long? resumesAt)
    {
        var offset = reader.Offset;
        var isZero = reader.Bytes.Span[..Math.Min(reader.Bytes.Length, LogFormat.RecordHeaderBytes)].IndexOfAnyExcept((byte)0) < 0;
        var reason = offset >= length ? "the file ends here without its end record"
            : isZero ? "there is no record where one must be"
            : "the checksum of the record is wrong";

        resumesAt = null;
        var wasFlushed = false;

        // What was written after the flush that covered this place begins no later than here.
        var limit = offset + LogFormat.UnflushedBytesMax + LogFormat.Alignment;
        var isFound = reader.TryResync(limit - offset, out var later);
        while (isFound && !wasFlushed && reader.Offset < limit)
        {
            resumesAt ??= reader.Offset;
            wasFlushed = later.FlushedThrough > offset;
            isFound = !wasFlushed && (reader.TryRead(out later) || reader.TryResync(limit - reader.Offset, out later));
        }

        if (!isLast || wasFlushed || EndsWithEnd(file, length))
        {
            return new KvDamage(path, offset, reason);
        }

        if (!isZero && !Header.IsRecycled)
        {
            TornTail = new KvDamage(path, offset, "the last record was not completely written");
        }

        return null;
    }

    // The process that finished the file cut off what lay behind its end.
    private bool EndsWithEnd(IStorageFile file, long length)
    {
        Span<byte> bytes = stackalloc byte[LogFormat.EndBytes];
        return length >= Header.Bytes + LogFormat.EndBytes
            && file.Read(bytes, length - LogFormat.EndBytes) == LogFormat.EndBytes
            && LogRecord.TryRead(bytes, Header.Seed, out var record) == RecordOutcome.Whole
            && record.Kind == RecordKind.End;
    }
}
