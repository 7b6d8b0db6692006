using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Writes laid-out records to the last log file, and begins the next file when it is full. Belongs to the worker that has the role of
/// the writer in <see cref="GroupCommit"/>: one thread at a time.
/// </summary>
/// <remarks>
/// <para>A file is finished (its end record is on the disk) before the next one has its name. So every log but the last one has
/// an end, whatever happens, and a log that lacks it is damaged. The next one is complete but for its name before that, so
/// that most of what can go wrong (no space, no descriptors) goes wrong while the file can still take deletes.</para>
/// <para><b>Space in the relaxed modes.</b> Mutations are acknowledged while they fit <see cref="Room"/>, before they are written. The
/// next file has its space for all of them before this one is finished. Where there is none for the next file, this one takes what was
/// acknowledged beyond its usual length, and nothing else.</para>
/// <para><b>Failures.</b> What failed before a byte of a record was written, or was cut off again, fails the records
/// concerned, and the next write may succeed. A flush that failed is fatal, and so is what cannot be cut off.</para>
/// </remarks>
internal sealed partial class LogWriter : IDisposable
{
    private const int RunBytesMax = 1024 * 1024;

    private readonly IStorage _storage;
    private readonly OpenManifest _manifest;
    private readonly SpareLog _spare;
    private readonly LogShape _shape;
    private readonly Action<long, long> _finished;
    private readonly Action _finishAndBeginNext;
    private LogFile _file;
    private LogFile? _next;
    private bool _isFinishNoted;

    private LogWriter(
        IStorage storage, OpenManifest manifest, SpareLog spare, LogFile file, LogShape shape, long highestRevision, Action<long, long> finished)
    {
        _storage = storage;
        _manifest = manifest;
        _spare = spare;
        _file = file;
        _shape = shape;
        _finished = finished;
        _finishAndBeginNext = FinishAndBeginNext;
        HighestRevision = highestRevision;
    }

    /// <summary>The number of the file that is being written.</summary>
    public long Number => _file.Header.Number;

    /// <summary>The highest revision that was handed to it, or recovered.</summary>
    public long HighestRevision { get; private set; }

    /// <summary>Whether there is anything that a power cut could take.</summary>
    public bool HasUnflushed => _file.FlushedThrough < _file.End;

    /// <summary>Whether the file has no records yet.</summary>
    public bool IsEmpty => _file.Records == 0 && !_file.IsFinished;

    /// <summary>The length of the file that is being written, without what was written ahead.</summary>
    public long FileBytes => _file.End;

    /// <summary>The bytes of records that are sure to be taken.</summary>
    public LogRoom Room => !_file.IsFinished ? _file.Room : _next?.Room ?? default;

    /// <summary>Begins a new log file.</summary>
    /// <param name="storage">Where.</param>
    /// <param name="manifest">What lists the files.</param>
    /// <param name="spare">What may become the next file.</param>
    /// <param name="number">The number of the first file.</param>
    /// <param name="shape">How files get their space.</param>
    /// <param name="highestRevision">The highest revision that was recovered.</param>
    /// <param name="finished">Called with the number and the length of a file that was finished.</param>
    public static LogWriter Create(
        IStorage storage, OpenManifest manifest, SpareLog spare, long number, LogShape shape, long highestRevision, Action<long, long> finished)
    {
        // A full disk can be opened to be read; puts fail until there is space.
        var file = LogFile.Prepare(storage, spare, manifest.Directory, number, shape with { ClosingBytes = manifest.Current.SpaceBytes }, room: null);
        try
        {
            file.Publish();
            manifest.LogBegun(file.Header);
            file.ReserveAhead();

            // Until the first write: many namespaces are never written to.
            file.Close();
            return new LogWriter(storage, manifest, spare, file, shape, highestRevision, finished);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes a batch and does what it asks for. Does not throw: the outcome says what was kept.</summary>
    /// <param name="batch">The records, which are sealed here.</param>
    /// <param name="flushes">Whether a record is kept only when it is on the disk.</param>
    public WriteOutcome Write(RecordBatch batch, bool flushes)
    {
        var kept = batch.WrittenBytes;
        var finishedNumber = 0L;
        try
        {
            HighestRevision = Math.Max(HighestRevision, batch.HighestRevision);
            WriteRecords(batch, flushes, ref kept);
            if (batch.MustRoll)
            {
                finishedNumber = Roll();
            }

            if (batch.MustClose)
            {
                Close();
            }

            if (!flushes && !batch.MustClose)
            {
                _file.ReserveAhead();
            }

            return new WriteOutcome { KeptBytes = batch.Length, IsUndone = true, FinishedNumber = finishedNumber, Room = Room };
        }
        catch (Exception e)
        {
            var outcome = Classify(e, kept, flushes);

            // Not before what was acknowledged: after a crash the state would be one that there never was.
            if (!outcome.IsFatal && !_file.IsFinished && batch.HasDeletes && (flushes || kept >= batch.AcknowledgedBytes))
            {
                outcome = WriteDeletes(batch, outcome, flushes);
            }

            return outcome with { Room = Room };
        }
    }

    /// <summary>Whether the file takes a descriptor.</summary>
    public bool IsFileOpen => _file.IsOpen;

    /// <summary>Closes the file until the next write. What is not flushed is flushed before.</summary>
    /// <returns>Whether it is closed; not while the last write left anything that is to be seen to.</returns>
    /// <exception cref="FlushFailedException">The flush failed: nothing is known about what was written since the last one.</exception>
    public bool TryCloseFile()
    {
        if (_file.IsTorn || _next is not null)
        {
            return false;
        }

        FlushAndMark();
        if (_file.IsTorn)
        {
            return false;
        }

        _file.Close();
        return true;
    }

    /// <summary>Finishes the file for good; an empty one is removed.</summary>
    public void Close()
    {
        if (IsEmpty)
        {
            // The manifest may need it.
            _file.ReleaseSpace();
            _manifest.Closed();
            _file.Dispose();
            _storage.Delete(FileNames.Log(Number));
            Flushing.FlushDirectory(_storage);
            return;
        }

        if (!_file.IsFinished)
        {
            Finish();
        }

        NoteFinished();
        _file.Trim();

        // One descriptor at a time: closing must be possible where they have run out.
        _file.Close();
        _manifest.Closed();
    }

    /// <summary>
    /// After a failure: ends the file behind what was on the disk, and proves that the file is whole up to there. Nothing else
    /// of it is recovered afterwards.
    /// </summary>
    /// <exception cref="IOException">The disk still fails.</exception>
    /// <exception cref="KvDamagedFileException">What was on the disk is not there any more.</exception>
    public void EndAfterFailure()
    {
        _file.EndAfterFailure(HighestRevision);
        var scan = LogScan.Verify(_storage, Number);
        if (scan.Damages.Count > 0)
        {
            throw new KvDamagedFileException(scan.Damages[0].File, scan.Damages[0].Offset, scan.Damages[0].Reason);
        }

        if (!scan.IsFinished || scan.Records != _file.Records)
        {
            throw new KvDamagedFileException(
                _storage.PathOf(scan.Name), scan.End, Invariant($"there are {scan.Records} records, and {_file.Records} were acknowledged"));
        }

        NoteFinished();
    }

    /// <summary>After <see cref="EndAfterFailure"/>: begins the next file, from the beginning.</summary>
    public void BeginAfterFailure()
    {
        _next?.Dispose();
        _next = null;
        BeginNext();
        _file.ReserveAhead();
    }

    public void Dispose()
    {
        _next?.Dispose();
        _file.Dispose();
    }

    private void WriteRecords(RecordBatch batch, bool flushes, ref long kept)
    {
        if (_file.IsFinished)
        {
            // The next one could not get its name before.
            BeginNext();
        }

        if (batch.Length > 0)
        {
            CutOffWhatFailed(flushes);
        }

        // All that complete together are in one file where possible: if its flush fails, then for all of them.
        if (flushes && batch.Length > 0 && !IsEmpty && batch.Length <= _shape.FileBytes - LogFormat.HeaderBytes - LogFormat.EndBytes && !HasRoom(batch.Length))
        {
            Roll();
        }

        var at = 0L;
        foreach (var chunk in batch.Chunks)
        {
            // What an attempt before this one has written stays written.
            var skipped = (int)Math.Clamp(batch.WrittenBytes - at, 0, chunk.Count);
            WriteChunk(chunk.AsSpan(skipped), at + skipped, flushes, batch.AcknowledgedBytes, ref kept);
            at += chunk.Count;
        }

        if (flushes || batch.MustFlush)
        {
            FlushAndMark();
            kept = batch.Length;
        }
    }

    /// <param name="records">A chunk of a batch, or the rest of one.</param>
    /// <param name="at">Where in the batch they begin.</param>
    /// <param name="flushes">Whether a record is kept only when it is on the disk.</param>
    /// <param name="acknowledged">Up to here, the batch has only records that are sure to have their space.</param>
    /// <param name="kept">How much of the batch is kept.</param>
    private void WriteChunk(Span<byte> records, long at, bool flushes, long acknowledged, ref long kept)
    {
        var goesOn = false;
        while (!records.IsEmpty)
        {
            var isAcknowledged = at < acknowledged;
            var first = LogRecord.SizeAt(records);
            if (!HasRoom(first) && !IsEmpty && !(isAcknowledged && goesOn))
            {
                // What is in the file must be on the disk before its end is.
                _file.Flush();
                kept = at;
                goesOn = !TryRoll(mustRoll: !isAcknowledged || _file.Room == LogRoom.Unlimited);
            }

            var together = isAcknowledged ? records[..(int)Math.Min(records.Length, acknowledged - at)] : records;
            var run = TakeRun(together, goesOn, out var count);
            if (_file.End - _file.FlushedThrough + run.Length > LogFormat.UnflushedBytesMax)
            {
                _file.Flush();
                kept = at;
            }

            AppendRun(run, count, usesReserve: isAcknowledged);
            records = records[run.Length..];
            at += run.Length;
            if (!flushes)
            {
                kept = at;
            }
        }
    }

    // As many records as belong together: they fit in the file and in one write. At least one.
    private Span<byte> TakeRun(Span<byte> records, bool goesOn, out int count)
    {
        var length = 0;
        count = 0;
        while (length < records.Length)
        {
            var size = LogRecord.SizeAt(records[length..]);
            if (count > 0 && (length + size > RunBytesMax || (!goesOn && !HasRoom(length + size))))
            {
                break;
            }

            length += size;
            count++;
        }

        return records[..length];
    }

    private void AppendRun(Span<byte> run, int count, bool usesReserve)
    {
        _file.Reserve(run.Length, usesReserve);
        for (var position = 0; position < run.Length;)
        {
            var size = LogRecord.SizeAt(run[position..]);
            LogRecord.Seal(run.Slice(position, size), _file.Header.Seed, (uint)_file.FlushedThrough);
            position += size;
        }

        _file.Append(run, count, run.Length - ((long)count * LogFormat.RecordHeaderBytes));
    }

    /// <summary>Writes the deletes of a batch that had no room, where puts may not go: a delete makes room.</summary>
    private WriteOutcome WriteDeletes(RecordBatch batch, in WriteOutcome outcome, bool flushes)
    {
        var kept = 0L;
        try
        {
            foreach (var (delete, end) in batch.RecordsFrom(outcome.KeptBytes, RecordKind.Delete))
            {
                if (!HasRoom(delete.Count) && !_file.HasReserve(delete.Count))
                {
                    // Those before it have their space.
                    break;
                }

                AppendRun(delete.AsSpan(), 1, usesReserve: true);
                kept = end;
            }

            if (flushes)
            {
                FlushAndMark();
            }

            return outcome with { KeptDeleteBytes = kept };
        }
        catch (Exception e)
        {
            // Without a flush, those that were written as a whole stay.
            return Classify(e, outcome.KeptBytes, flushes) with { Error = outcome.Error, KeptDeleteBytes = flushes ? 0 : kept };
        }
    }

    /// <summary>Decides what a failure means, and takes back what can be taken back.</summary>
    private WriteOutcome Classify(Exception error, long kept, bool flushes)
    {
        var failed = new WriteOutcome { KeptBytes = kept, Error = error, IsFatal = true };
        if (error is FlushFailedException)
        {
            // When records are kept only once they are flushed, none of these was acknowledged. In the relaxed modes some were, so
            // they stay.
            return failed with
            {
                Error = error.InnerException,
                IsUndone = flushes && (!HasTail || _file.TryCutOffAfterFailure()),
            };
        }

        if (error is LogReplacedException)
        {
            // What was acknowledged is not where it was, and nothing was written in its place.
            return failed with { IsUndone = true };
        }

        if (error is not (IOException or UnauthorizedAccessException or OutOfMemoryException))
        {
            // A fault of the program: nothing is known.
            return failed;
        }

        try
        {
            CutOffWhatFailed(flushes);
            return failed with { IsFatal = false, IsUndone = true };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            return failed;
        }
    }

    private void CutOffWhatFailed(bool flushes)
    {
        if (_file.IsTorn || (flushes && HasUnflushed))
        {
            _file.CutOff(flushedOnly: flushes);
        }
    }

    private void FlushAndMark()
    {
        if (HasUnflushed)
        {
            _file.Flush();
            _file.Mark(HighestRevision);
        }
    }

    // Whether there may be anything in the file that is not kept when a record is kept only when it is on the disk.
    private bool HasTail => _file.IsTorn || HasUnflushed;

    private bool HasRoom(long bytes) => _file.End + bytes + LogFormat.EndBytes <= _shape.FileBytes;
}
