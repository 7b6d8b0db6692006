using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The log file that is being written: where its end is, what of it is on the disk, and how far its blocks have been
/// written ahead.
/// </summary>
/// <remarks>
/// A flush that changes nothing but bytes takes two thirds of the time of one that also has to note a new length and new
/// blocks. So zeros are written ahead, in steps that double, and a file that is no longer needed becomes the next one.
/// Not thread-safe: it belongs to the writer of the log.
/// </remarks>
internal sealed class LogFile : IDisposable
{
    private const int AheadBytesMin = 1024 * 1024;
    private const int AheadBytesMax = 8 * 1024 * 1024;
    private const int ZeroBytes = 256 * 1024;

    private static readonly byte[] s_zeros = new byte[ZeroBytes];

    private readonly IStorageFile _file;
    private readonly bool _writesAhead;
    private long _aheadTo;
    private bool _isDisposed;

    private LogFile(IStorageFile file, in FileHeader header, bool writesAhead)
    {
        _file = file;
        _writesAhead = writesAhead;
        Header = header;
        End = LogFormat.HeaderBytes;
        FlushedThrough = LogFormat.HeaderBytes;
        _aheadTo = file.Length;
    }

    public FileHeader Header { get; }

    /// <summary>Where the next record goes.</summary>
    public long End { get; private set; }

    /// <summary>Below this everything is on the disk.</summary>
    public long FlushedThrough { get; private set; }

    /// <summary>The puts and deletes in it.</summary>
    public long Records { get; private set; }

    /// <summary>The bytes of their keys, metadata and values.</summary>
    public long PayloadBytes { get; private set; }

    /// <summary>Makes a file and puts its name on the disk: afterwards it is the last log.</summary>
    public static LogFile Create(IStorage storage, Guid directory, long number, int fileBytes, bool writesAhead, bool reusesSpare)
    {
        var name = reusesSpare ? FileNames.Spare : FileNames.Temporary(FileNames.Log(number));
        if (!reusesSpare && storage.Exists(name))
        {
            // An attempt before this one failed.
            storage.Delete(name);
        }

        var file = reusesSpare ? storage.Open(name, isWritable: true) : storage.Create(name);
        try
        {
            Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
            var header = FileHeader.Write(bytes, FileKind.Log, number, directory, reusesSpare);
            file.Write(bytes, 0);
            var log = new LogFile(file, header, writesAhead);
            log.WriteAhead(fileBytes, LogFormat.HeaderBytes);
            file.Flush();

            // Under its name only when its header is on the disk: a log without one is damaged, not new.
            storage.Rename(name, FileNames.Log(number));
            storage.FlushDirectory();
            return log;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes sealed records at the end.</summary>
    public void Append(ReadOnlySpan<byte> records, int fileBytes)
    {
        WriteAhead(fileBytes, End + records.Length);
        _file.Write(records, End);
        End += records.Length;
    }

    /// <summary>Counts records that were appended.</summary>
    public void Count(long records, long payloadBytes)
    {
        Records += records;
        PayloadBytes += payloadBytes;
    }

    public void Flush()
    {
        if (FlushedThrough < End)
        {
            _file.Flush();
            FlushedThrough = End;
        }
    }

    /// <summary>Cuts off what was written ahead.</summary>
    public void Trim()
    {
        _file.SetLength(End);
        _file.Flush();
    }

    /// <summary>
    /// Makes what is not flushed unreadable, after a write or a flush has failed: whoever waited for it was told so, and it
    /// should not come back when the directory is opened again.
    /// </summary>
    public void Forget()
    {
        if (_isDisposed)
        {
            // It was empty and is being removed: there is nothing to forget.
            return;
        }

        try
        {
            _file.Write(s_zeros.AsSpan(0, LogFormat.RecordHeaderBytes), FlushedThrough);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The disk has failed already, and that has been reported.
        }
    }

    public void Dispose()
    {
        _isDisposed = true;
        _file.Dispose();
    }

    private void WriteAhead(int fileBytes, long needed)
    {
        if (!_writesAhead || needed <= _aheadTo || _aheadTo >= fileBytes)
        {
            return;
        }

        var step = Math.Clamp(_aheadTo, AheadBytesMin, AheadBytesMax);
        var to = Math.Min(Math.Max(_aheadTo + step, needed), Math.Max(fileBytes, needed));
        for (var at = Math.Max(_aheadTo, End); at < to; at += ZeroBytes)
        {
            _file.Write(s_zeros.AsSpan(0, (int)Math.Min(ZeroBytes, to - at)), at);
        }

        _aheadTo = to;
    }
}
