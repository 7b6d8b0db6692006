using System.Buffers;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Writes a snapshot: records as in a log, an index of the places where reading can begin, and an end. It has a temporary
/// name until it is complete and on the disk.
/// </summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class SnapshotWriter : IDisposable
{
    /// <summary>Places where reading can begin are at least so far from each other.</summary>
    public const int ChunkBytesMin = BufferBytes;

    private const int BufferBytes = 1024 * 1024;

    private readonly IStorage _storage;
    private readonly long _number;
    private readonly IStorageFile _file;
    private readonly uint _seed;
    private readonly long _check;
    private readonly List<long> _chunkOffsets = [];
    private readonly DateTimeOffset _now;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
    private int _buffered;
    private long _written;
    private long _records;
    private long _payloadBytes;
    private long _highestRevision;
    private bool _isPublished;

    /// <summary>Begins a snapshot that stands for all logs up to a number.</summary>
    /// <param name="storage">Where.</param>
    /// <param name="number">The number.</param>
    /// <param name="directory">The directory that it is made for.</param>
    /// <param name="now">What has expired by then is left out.</param>
    public SnapshotWriter(IStorage storage, long number, Guid directory, DateTimeOffset now)
    {
        _storage = storage;
        _number = number;
        _now = now;
        if (storage.Exists(TemporaryName))
        {
            // An attempt before this one failed, and so did removing what it left.
            storage.Delete(TemporaryName);
        }

        _file = storage.Create(TemporaryName);
        var header = FileHeader.Write(_buffer, FileKind.Snapshot, number, directory);
        _check = header.Check;
        _seed = header.Seed;
        _buffered = LogFormat.HeaderBytes;
    }

    /// <summary>What the manifest says of it, once it is finished.</summary>
    public ListedFile Listed { get; private set; }

    /// <summary>The length so far.</summary>
    public long Length => _written + _buffered;

    private string TemporaryName => FileNames.Temporary(FileNames.Snapshot(_number));

    /// <summary>Adds an entry, unless it has expired.</summary>
    public void Add(in KvMutation mutation)
    {
        _highestRevision = Math.Max(_highestRevision, mutation.Revision);
        if (mutation.IsDelete || mutation.Deadline.HasPassedAt(_now))
        {
            return;
        }

        var size = LogRecord.SizeOf(mutation);
        var record = Reserve(size, beginsChunk: true);
        LogRecord.Lay(record, mutation);
        LogRecord.Seal(record, _seed, 0);
        _records++;
        _payloadBytes += size - LogFormat.RecordHeaderBytes;
    }

    /// <summary>Completes the snapshot and puts it on the disk, still under its temporary name.</summary>
    public void Finish(long highestRevision)
    {
        var indexOffset = Length;
        var index = Reserve(LogFormat.RecordBytes(0, 0, _chunkOffsets.Count * sizeof(long)), beginsChunk: false);
        LogRecord.LayIndex(index, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_chunkOffsets));
        LogRecord.Seal(index, _seed, 0);
        var endOffset = Length;
        var end = Reserve(LogFormat.EndBytes, beginsChunk: false);
        LogRecord.LayEnd(end, new FileEnd(Math.Max(highestRevision, _highestRevision), _records, _payloadBytes, indexOffset));
        LogRecord.Seal(end, _seed, 0);
        Listed = new ListedFile(FileKind.Snapshot, _number, _check, endOffset, LogRecord.ChecksumOf(end));
        WriteBuffer();
        Flushing.Flush(_file);
    }

    /// <summary>Gives the snapshot its name: from now on it counts.</summary>
    public void Publish()
    {
        _file.Dispose();
        _storage.Rename(TemporaryName, FileNames.Snapshot(_number));
        _isPublished = true;
        Flushing.FlushDirectory(_storage);
    }

    /// <summary>Gives up what was not published.</summary>
    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _file.Dispose();
        if (!_isPublished)
        {
            try
            {
                _storage.Delete(TemporaryName);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It is removed when the directory is opened the next time.
            }
        }
    }

    private Span<byte> Reserve(int size, bool beginsChunk)
    {
        if (_buffer.Length - _buffered < size)
        {
            WriteBuffer();
            if (_buffer.Length < size)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
                _buffer = ArrayPool<byte>.Shared.Rent(size);
            }
        }

        if (beginsChunk && (_chunkOffsets.Count == 0 || Length - _chunkOffsets[^1] >= BufferBytes))
        {
            _chunkOffsets.Add(Length);
        }

        var reserved = _buffer.AsSpan(_buffered, size);
        _buffered += size;
        return reserved;
    }

    private void WriteBuffer()
    {
        _file.Write(_buffer.AsSpan(0, _buffered), _written);
        _written += _buffered;
        _buffered = 0;
    }
}
