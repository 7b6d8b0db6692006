using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The log file that is being written: where its end is, what of it is on the disk, and how far it has its space
/// (<see cref="LogSpace"/>).
/// </summary>
/// <remarks>
/// <para><b>The reserve.</b> Puts leave the last <see cref="LogSpace.ReserveBytes"/> of the space alone. On a full disk
/// deletes go there, and the end record.</para>
/// <para><b>The mark.</b> After a flush an end record is written behind the last record, and not flushed; the next record
/// replaces it. After a kill it says that everything before it was on the disk, so that damage there is not taken for a torn
/// end. A power cut may take the mark; then the file ends as if it had never been written.</para>
/// <para>Not thread-safe: it belongs to the writer of the log.</para>
/// </remarks>
internal sealed class LogFile : IDisposable
{
    private static readonly byte[] s_zeros = new byte[LogFormat.RecordHeaderBytes];

    private readonly IStorage _storage;

    // Null while it rests.
    private IStorageFile? _openFile;
    private FileIdentity? _identity;
    private readonly LogSpace _space;
    private readonly int _reserveBytes;
    private readonly byte[] _end = new byte[LogFormat.EndBytes];
    private long _flushedRecords;
    private long _flushedPayloadBytes;

    // Whether there may be anything behind the end that is neither zeros nor bytes of an older log.
    private bool _isTorn;

    private LogFile(IStorage storage, IStorageFile file, in FileHeader header, LogShape shape)
    {
        _storage = storage;
        _openFile = file;
        _space = new LogSpace(shape, file.Length);
        _reserveBytes = LogSpace.ReserveBytes(shape.FileBytes);
        Header = header;
        End = LogFormat.HeaderBytes;
        FlushedThrough = LogFormat.HeaderBytes;
    }

    public FileHeader Header { get; }

    /// <summary>Whether it takes a descriptor.</summary>
    public bool IsOpen => _openFile is not null;

    private IStorageFile File => _openFile ?? OpenAgain();

    /// <summary>Where the next record goes.</summary>
    public long End { get; private set; }

    /// <summary>Below this everything is on the disk.</summary>
    public long FlushedThrough { get; private set; }

    /// <summary>The puts and deletes in it.</summary>
    public long Records { get; private set; }

    /// <summary>The bytes of their keys, metadata and values.</summary>
    public long PayloadBytes { get; private set; }

    /// <summary>Whether its end record is on the disk.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>Where the end record begins, once it is on the disk.</summary>
    public long EndOffset => IsFinished ? End - LogFormat.EndBytes : 0;

    /// <summary>The checksum of the end record, once it is on the disk.</summary>
    public uint EndChecksum => LogRecord.ChecksumOf(_end);

    /// <summary>The bytes of records that it is sure to take, with the end record behind them. Requires: it is not finished.</summary>
    public LogRoom Room
    {
        get
        {
            var all = _space.Through - End - _space.BehindBytes;
            return _space.IsReserved ? new LogRoom(all - _reserveBytes, all) : LogRoom.Unlimited;
        }
    }

    /// <summary>Makes a file and puts it on the disk, still under a temporary name.</summary>
    /// <param name="storage">Where.</param>
    /// <param name="spare">What may become the file.</param>
    /// <param name="directory">The identity of the directory.</param>
    /// <param name="number">Its number.</param>
    /// <param name="shape">How it gets its space.</param>
    /// <param name="room">The bytes of records that it must be sure to take; null when there need not be any.</param>
    public static LogFile Prepare(IStorage storage, SpareLog spare, Guid directory, long number, LogShape shape, long? room)
    {
        var name = FileNames.Temporary(FileNames.Log(number));

        if (storage.Exists(name))
        {
            // An attempt before this one failed.
            storage.Delete(name);
        }

        var isRecycled = spare.TryTake(name);
        var file = isRecycled ? storage.Open(name, isWritable: true) : storage.Create(name);
        try
        {
            AllocationProbe.Before();
            Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
            var header = FileHeader.Write(bytes, FileKind.Log, number, directory, isRecycled);
            file.Write(bytes, 0);
            var log = new LogFile(storage, file, header, shape);
            try
            {
                log.RequireRoom(Math.Max(log._reserveBytes, room ?? 0));
            }
            catch (Exception e) when (room is null && e is (IOException or UnauthorizedAccessException))
            {
                // A full disk can be opened to be read; puts fail until there is room.
            }

            Flushing.Flush(file);
            return log;
        }
        catch
        {
            file.Dispose();
            DeleteQuietly(storage, name);
            throw;
        }
    }

    /// <summary>Gives the file its name and puts the name on the disk: afterwards it is the last log.</summary>
    /// <remarks>Only when its header is on the disk: a log without one is damaged, not new.</remarks>
    public void Publish()
    {
        var name = FileNames.Log(Header.Number);
        if (_storage.Exists(FileNames.Temporary(name)))
        {
            _storage.Rename(FileNames.Temporary(name), name);
        }

        Flushing.FlushDirectory(_storage);
    }

    /// <summary>Makes sure that records of a length have their space, with the end record behind them.</summary>
    /// <exception cref="IOException">There is none. Nothing has changed.</exception>
    public void RequireRoom(long bytes) => _space.Require(File, End, End + bytes + _space.BehindBytes);

    /// <summary>Makes sure that records have their space at the end, so that writing them takes no new blocks.</summary>
    /// <param name="bytes">The length of the records.</param>
    /// <param name="usesReserve">Whether they may go where puts may not.</param>
    /// <exception cref="IOException">There is none. Nothing has changed.</exception>
    public void Reserve(int bytes, bool usesReserve)
    {
        if (usesReserve && _space.IsReserved)
        {
            RequireRoom(bytes);
            return;
        }

        try
        {
            RequireRoom(bytes + _reserveBytes);
        }
        catch (Exception e) when (usesReserve && HasReserve(bytes) && e is (IOException or UnauthorizedAccessException))
        {
            // That is what the reserve is for.
        }
    }

    /// <summary>Reserves space for records that will come, as far as there is any.</summary>
    public void ReserveAhead()
    {
        if (_openFile is { } file && !IsFinished)
        {
            _space.ReserveAhead(file, End);
        }
    }

    /// <summary>Whether records fit in the space that it has, with the end record behind them.</summary>
    public bool HasReserve(long bytes) => End + bytes + _space.BehindBytes <= _space.Through;

    /// <summary>Writes sealed records at the end. Requires: <see cref="Reserve"/>.</summary>
    /// <exception cref="IOException">It failed; a part of the records may be there until <see cref="CutOff"/> has removed it.</exception>
    public void Append(ReadOnlySpan<byte> records, int count, long payloadBytes)
    {
        Debug.Assert(!IsFinished, "Nothing follows the end record.");
        Debug.Assert(!_isTorn, "What a failed write left is cut off first.");
        Debug.Assert(
            End + records.Length - FlushedThrough <= LogFormat.UnflushedBytesMax, "Recovery looks only so far for a later record.");

        // Before it counts as torn: opening it may fail, which writes nothing.
        var file = File;
        _isTorn = true;
        file.Write(records, End);
        _isTorn = false;
        End += records.Length;
        Records += count;
        PayloadBytes += payloadBytes;
    }

    /// <exception cref="IOException">It failed. Nothing is known about what was written since the last flush.</exception>
    public void Flush()
    {
        if (FlushedThrough < End)
        {
            Flushing.Flush(File);
            NoteFlush();
        }
    }

    /// <summary>Notes behind the last record that everything before was flushed, for the recovery after a kill.</summary>
    public void Mark(long highestRevision)
    {
        Debug.Assert(FlushedThrough == End, "A mark says that everything before it is on the disk.");
        LayEnd(highestRevision);
        try
        {
            File.Write(_end, End);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            // What was flushed stays. The next write cuts off what may be here, and fails when it cannot.
            _isTorn = true;
        }
    }

    /// <summary>Whether a failed write may have left something behind the end.</summary>
    public bool IsTorn => _isTorn;

    /// <summary>Makes everything behind a place unreadable, and puts that on the disk.</summary>
    /// <param name="flushedOnly">Whether to keep only what is on the disk; otherwise everything that was written as a whole.</param>
    /// <exception cref="IOException">It failed: what is behind the place is not known.</exception>
    public void CutOff(bool flushedOnly)
    {
        Debug.Assert(!IsFinished, "The end record stays.");
        var end = flushedOnly ? FlushedThrough : End;
        var file = File;
        _isTorn = true;
        file.SetLength(end);
        _space.CutOff(file, end);
        if (flushedOnly)
        {
            End = FlushedThrough;
            Records = _flushedRecords;
            PayloadBytes = _flushedPayloadBytes;
        }

        Flushing.Flush(File);
        NoteFlush();
        _isTorn = false;
    }

    /// <summary>
    /// The same as far as it goes, after a flush has failed: with zeros in place of a record header where even the length
    /// cannot be changed.
    /// </summary>
    /// <returns>Whether the disk has confirmed it.</returns>
    public bool TryCutOffAfterFailure()
    {
        try
        {
            CutOff(flushedOnly: true);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            try
            {
                File.Write(s_zeros, FlushedThrough);
            }
            catch (Exception again) when (again is IOException or UnauthorizedAccessException or OutOfMemoryException)
            {
                // The failure before this one is reported; it says that the outcome is unknown.
            }

            return false;
        }
    }

    /// <summary>Puts the end record on the disk. Requires: everything before it is on the disk.</summary>
    public void Finish(long highestRevision)
    {
        Debug.Assert(FlushedThrough == End, "The end record says of everything before it that it was on the disk.");
        LayEnd(highestRevision);
        var file = File;
        _isTorn = true;
        file.Write(_end, End);
        Flushing.Flush(File);
        _isTorn = false;
        IsFinished = true;
        End += LogFormat.EndBytes;
        FlushedThrough = End;
    }

    /// <summary>After a failure: ends the file behind what was on the disk.</summary>
    public void EndAfterFailure(long highestRevision)
    {
        if (!IsFinished)
        {
            CutOff(flushedOnly: true);
            Finish(highestRevision);
        }
    }

    /// <summary>
    /// Closes the file until something is done with it. Requires: everything that was written is on the disk, and no write has
    /// failed. So nothing is lost with the descriptor, no error of a flush either.
    /// </summary>
    public void Close()
    {
        Debug.Assert(FlushedThrough == End && !_isTorn, "What was written is flushed through the descriptor that wrote it.");
        if (_openFile is { } file)
        {
            _identity = file.Identity;
            _openFile = null;
            file.Dispose();
        }
    }

    /// <summary>Releases the space behind the end, as far as that is possible. Requires: nothing is written behind the end any more.</summary>
    public void ReleaseSpace()
    {
        if (_space.Through <= End)
        {
            return;
        }

        try
        {
            File.SetLength(End);
            _space.Released(End);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutOfMemoryException)
        {
            // Costs disk space until the file is removed, nothing else.
        }
    }

    /// <summary>Gives up a file that was prepared, and has not its name.</summary>
    public void Discard()
    {
        Dispose();
        DeleteQuietly(_storage, FileNames.Temporary(FileNames.Log(Header.Number)));
    }

    /// <summary>Cuts off what was written ahead.</summary>
    public void Trim()
    {
        File.SetLength(End);
        Flushing.Flush(File);
    }

    public void Dispose() => _openFile?.Dispose();

    private static void DeleteQuietly(IStorage storage, string name)
    {
        try
        {
            storage.Delete(name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The failure before this one is reported. The file goes with the next attempt, or when the directory is opened.
        }
    }

    /// <exception cref="LogReplacedException">Another file has its name, or it was cut off.</exception>
    private IStorageFile OpenAgain()
    {
        var name = FileNames.Log(Header.Number);
        var file = OpenOrThrow(name);
        try
        {
            if (file.Identity != _identity || file.Length < End
                || FileHeader.Read(file, _storage.PathOf(name), FileKind.Log, Header.Number).Check != Header.Check)
            {
                throw new LogReplacedException(_storage.PathOf(name));
            }

            _openFile = file;
            return file;
        }
        catch (KvPersistenceException e)
        {
            file.Dispose();
            throw new LogReplacedException(_storage.PathOf(name), e);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private IStorageFile OpenOrThrow(string name)
    {
        try
        {
            return _storage.Open(name, isWritable: true);
        }
        catch (FileNotFoundException e)
        {
            throw new LogReplacedException(_storage.PathOf(name), e);
        }
    }

    private void NoteFlush()
    {
        FlushedThrough = End;
        _flushedRecords = Records;
        _flushedPayloadBytes = PayloadBytes;
    }

    private void LayEnd(long highestRevision)
    {
        LogRecord.LayEnd(_end, new FileEnd(highestRevision, Records, PayloadBytes));
        LogRecord.Seal(_end, Header.Seed, (uint)End);
    }
}
