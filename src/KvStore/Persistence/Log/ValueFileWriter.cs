using System.Buffers;
using System.Buffers.Binary;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>Writes a large value to its file as it comes, block by block, each with a checksum.</summary>
internal sealed class ValueFileWriter : KvLargeValueWriter
{
    private readonly ValueFiles _owner;
    private readonly IStorage _storage;
    private readonly long _id;
    private readonly IStorageFile _file;
    private readonly uint _seed;
    private readonly long _check;
    private byte[] _block = ArrayPool<byte>.Shared.Rent(LogFormat.ValueBlockBytes);
    private int _blockBytes = sizeof(uint);
    private long _blockIndex;
    private long _length;
    private bool _isComplete;
    private bool _isDisposed;

    public ValueFileWriter(ValueFiles owner, IStorage storage, Guid directory, long id, IStorageFile file)
    {
        _owner = owner;
        _storage = storage;
        _id = id;
        _file = file;
        var header = FileHeader.Write(_block, FileKind.Value, id, directory);
        _seed = header.Seed;
        _check = header.Check;
        try
        {
            _file.Write(_block.AsSpan(0, LogFormat.HeaderBytes), 0);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    public override long Length => _length;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ThrowIfEnded();
        cancellationToken.ThrowIfCancellationRequested();
        var left = bytes.Span;
        while (!left.IsEmpty)
        {
            var taken = Math.Min(left.Length, LogFormat.ValueBlockBytes - _blockBytes);
            left[..taken].CopyTo(_block.AsSpan(_blockBytes));
            left = left[taken..];
            _blockBytes += taken;
            _length += taken;
            if (_blockBytes == LogFormat.ValueBlockBytes)
            {
                WriteBlock();
            }
        }

        return default;
    }

    public override async ValueTask<KvValueReference> CompleteAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfEnded();
        cancellationToken.ThrowIfCancellationRequested();
        if (_blockBytes > sizeof(uint))
        {
            WriteBlock();
        }

        // Not on the thread of the caller: a flush takes milliseconds.
        await Task.Run(FlushFile, CancellationToken.None).ConfigureAwait(false);
        var reference = new KvValueReference(_id, _length) { Check = _check };
        _owner.Add(reference);
        _isComplete = true;
        return reference;
    }

    public override ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            ArrayPool<byte>.Shared.Return(_block);
            _block = [];
            _file.Dispose();
            if (!_isComplete)
            {
                _owner.Delete(_id);
            }
        }

        return default;
    }

    private void WriteBlock()
    {
        _owner.ThrowIfClosed();
        var block = _block.AsSpan(0, _blockBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(block, ValueBlock.Checksum(_seed, _blockIndex, block[sizeof(uint)..]));
        try
        {
            _file.Write(block, LogFormat.HeaderBytes + (_blockIndex * LogFormat.ValueBlockBytes));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw _owner.Failed(e);
        }

        _blockIndex++;
        _blockBytes = sizeof(uint);
    }

    private void FlushFile()
    {
        try
        {
            Flushing.Flush(_file);
            Flushing.FlushDirectory(_storage);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw _owner.Failed(e);
        }
    }

    private void ThrowIfEnded()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (_isComplete)
        {
            throw new InvalidOperationException("The value is complete.");
        }
    }
}
