using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Writes laid-out records to the last log file, and follows it by the next one when it is full. Belongs to the flush loop of
/// <see cref="GroupCommit"/>: one thread at a time.
/// </summary>
/// <remarks>
/// A file is finished (its end record is on the disk) before the next one has its name. So every log but the last one has
/// an end, whatever happens, and a log that lacks it is damaged.
/// </remarks>
internal sealed class LogWriter : IDisposable
{
    // Within one flush no more than this is written, so that recovery, which looks this far beyond a record that it cannot
    // read, finds what was written after the flush that covered it.
    private const int RunBytesMax = 1024 * 1024;

    private readonly IStorage _storage;
    private readonly OpenManifest _manifest;
    private readonly int _fileBytes;
    private readonly bool _writesAhead;
    private readonly byte[] _end = new byte[LogFormat.EndBytes];
    private LogFile _file;

    private LogWriter(IStorage storage, OpenManifest manifest, LogFile file, int fileBytes, bool writesAhead, long highestRevision)
    {
        _storage = storage;
        _manifest = manifest;
        _file = file;
        _fileBytes = fileBytes;
        _writesAhead = writesAhead;
        HighestRevision = highestRevision;
    }

    /// <summary>The number of the file that is being written.</summary>
    public long Number => _file.Header.Number;

    /// <summary>The highest revision written, or recovered.</summary>
    public long HighestRevision { get; private set; }

    /// <summary>Whether there is anything that a power cut could take.</summary>
    public bool HasUnflushed => _file.FlushedThrough < _file.End;

    /// <summary>Whether the file has any records yet.</summary>
    public bool IsEmpty => _file.Records == 0;

    /// <summary>The length of the file that is being written, without what was written ahead.</summary>
    public long FileBytes => _file.End;

    /// <summary>Called with the number and the length of a file that was finished.</summary>
    public Action<long, long>? Finished { get; set; }

    /// <summary>Begins a new log file.</summary>
    public static LogWriter Create(
        IStorage storage, OpenManifest manifest, long number, int fileBytes, bool writesAhead, bool reusesSpare, long highestRevision) =>
        new(storage, manifest, Begin(storage, manifest, number, fileBytes, writesAhead, reusesSpare), fileBytes, writesAhead, highestRevision);

    /// <summary>Writes records; with <paramref name="flushes"/> they are on the disk when it returns.</summary>
    public void Write(RecordBatch batch, bool flushes)
    {
        HighestRevision = Math.Max(HighestRevision, batch.HighestRevision);

        // All that are told together are in one file where possible: if its flush fails, then for all of them.
        if (flushes && !IsEmpty && batch.Length <= _fileBytes - LogFormat.HeaderBytes - LogFormat.EndBytes && !HasRoom(batch.Length))
        {
            Roll();
        }

        foreach (var chunk in batch.Chunks)
        {
            WriteChunk(chunk.AsSpan(), flushes);
        }

        if (flushes)
        {
            _file.Flush();
        }
    }

    /// <summary>Puts everything written on the disk.</summary>
    public void Flush() => _file.Flush();

    /// <summary>Finishes the file and begins the next one, unless the file is empty.</summary>
    /// <returns>The number of the last finished file.</returns>
    public long Roll()
    {
        if (!IsEmpty)
        {
            Finish();
            var next = Begin(_storage, _manifest, Number + 1, _fileBytes, _writesAhead, FileHeader.IsOwnSpare(_storage, _manifest.Directory));
            _file.Dispose();
            _file = next;
        }

        return Number - 1;
    }

    /// <summary>Finishes the file for good; an empty one is removed.</summary>
    public void Close()
    {
        if (IsEmpty)
        {
            _manifest.Closed();
            _file.Dispose();
            _storage.Delete(FileNames.Log(Number));
            _storage.FlushDirectory();
            return;
        }

        Finish();
        _file.Trim();
        _manifest.Closed();
    }

    /// <summary>Makes what was written but not flushed unreadable, after a failure.</summary>
    public void Forget() => _file.Forget();

    public void Dispose() => _file.Dispose();

    // Nothing is written to a log before the manifest lists it.
    private static LogFile Begin(IStorage storage, OpenManifest manifest, long number, int fileBytes, bool writesAhead, bool reusesSpare)
    {
        var file = LogFile.Create(storage, manifest.Directory, number, fileBytes, writesAhead, reusesSpare);
        try
        {
            manifest.LogBegun(file.Header);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void WriteChunk(Span<byte> records, bool flushes)
    {
        var runStart = 0;
        var position = 0;
        var runRecords = 0;
        var runPayload = 0L;
        while (position < records.Length)
        {
            var size = LogRecord.SizeAt(records[position..]);
            if (position > runStart && (position - runStart + size > RunBytesMax || !HasRoom(position - runStart + size)))
            {
                WriteRun(records[runStart..position]);
                if (flushes)
                {
                    _file.Flush();
                }
            }

            if (position == runStart && !HasRoom(size) && !IsEmpty)
            {
                Roll();
            }

            LogRecord.Seal(records.Slice(position, size), _file.Header.Seed, (uint)_file.FlushedThrough);
            runRecords++;
            runPayload += size - LogFormat.RecordHeaderBytes;
            position += size;
        }

        WriteRun(records[runStart..position]);

        void WriteRun(Span<byte> run)
        {
            _file.Append(run, _fileBytes);
            _file.Count(runRecords, runPayload);
            runStart = position;
            runRecords = 0;
            runPayload = 0;
        }
    }

    private bool HasRoom(long bytes) => _file.End + bytes + LogFormat.EndBytes <= _fileBytes;

    private void Finish()
    {
        // Twice, so that the end says of everything before it that it was on the disk: damage is then told from a torn tail.
        _file.Flush();
        LogRecord.LayEnd(_end, new FileEnd(HighestRevision, _file.Records, _file.PayloadBytes));
        LogRecord.Seal(_end, _file.Header.Seed, (uint)_file.FlushedThrough);
        var endOffset = _file.End;
        _file.Append(_end, _fileBytes);
        _file.Flush();
        _manifest.LogFinished(Number, endOffset, LogRecord.ChecksumOf(_end));
        Finished?.Invoke(Number, _file.End);
    }
}
