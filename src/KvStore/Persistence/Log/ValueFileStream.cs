using System.Buffers;
using System.Buffers.Binary;
using KvStore.Persistence.Storage;
using KvStore.Rules;

namespace KvStore.Persistence.Log;

/// <summary>Reads a large value from its file. Every block is verified before a byte of it is returned.</summary>
internal sealed class ValueFileStream : Stream
{
    private readonly IStorageFile _file;
    private readonly string _path;
    private readonly FileHeader _header;
    private readonly long _length;
    private readonly IDisposable _lease;
    private byte[] _block = ArrayPool<byte>.Shared.Rent(LogFormat.ValueBlockBytes);
    private long _blockIndex = -1;
    private int _blockDataBytes;
    private long _position;
    private bool _isDisposed;

    private ValueFileStream(IStorageFile file, string path, FileHeader header, long length, IDisposable lease)
    {
        _file = file;
        _path = path;
        _header = header;
        _length = length;
        _lease = lease;
    }

    /// <summary>Opens the file of a value.</summary>
    /// <param name="storage">Where it is.</param>
    /// <param name="reference">The value.</param>
    /// <param name="lease">Keeps the file. Disposed with the stream, or when the file cannot be opened.</param>
    /// <exception cref="KvDamagedFileException">The file is not that of this value.</exception>
    public static ValueFileStream Open(IStorage storage, KvValueReference reference, IDisposable lease)
    {
        var name = FileNames.Value(reference.Id);
        IStorageFile? file = null;
        try
        {
            file = storage.Open(name, isWritable: false);
            var path = storage.PathOf(name);
            return new ValueFileStream(file, path, DirectoryInventory.ReadValueHeader(file, path, reference), reference.Length, lease);
        }
        catch
        {
            file?.Dispose();
            lease.Dispose();
            throw;
        }
    }

    public override bool CanRead => !_isDisposed;

    public override bool CanSeek => !_isDisposed;

    public override bool CanWrite => false;

    public override long Length => _length;

    public override long Position
    {
        get => _position;
        set
        {
            OutOfRange.ThrowIfLessThan(value, 0);
            _position = value;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (buffer.IsEmpty || _position >= Length)
        {
            return 0;
        }

        if (NeedsBlock(out var index))
        {
            Accept(index, _file.Read(_block.AsSpan(0, BlockBytes(index)), OffsetOf(index)));
        }

        return Take(buffer);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (buffer.IsEmpty || _position >= Length)
        {
            return 0;
        }

        if (NeedsBlock(out var index))
        {
            var read = await _file.ReadAsync(_block.AsMemory(0, BlockBytes(index)), OffsetOf(index), cancellationToken).ConfigureAwait(false);
            Accept(index, read);
        }

        return Take(buffer.Span);
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
    {
        ValidateBufferArguments(buffer, offset, count);
        return ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();
    }

    public override long Seek(long offset, SeekOrigin origin)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var position = offset + origin switch
        {
            SeekOrigin.Begin => 0,
            SeekOrigin.Current => _position,
            SeekOrigin.End => Length,
            _ => throw new ArgumentOutOfRangeException(nameof(origin)),
        };
        if (position < 0)
        {
            throw new IOException("A stream has no position before its beginning.");
        }

        return _position = position;
    }

    public override void Flush()
    {
        // Nothing is ever written.
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_isDisposed)
        {
            _isDisposed = true;
            ArrayPool<byte>.Shared.Return(_block);
            _block = [];
            _file.Dispose();
            _lease.Dispose();
        }

        base.Dispose(disposing);
    }

    private long OffsetOf(long blockIndex) => _header.Bytes + (blockIndex * LogFormat.ValueBlockBytes);

    private bool NeedsBlock(out long index)
    {
        index = _position / LogFormat.ValueBlockDataBytes;
        return index != _blockIndex;
    }

    private int BlockBytes(long index) =>
        sizeof(uint) + (int)Math.Min(LogFormat.ValueBlockDataBytes, Length - (index * LogFormat.ValueBlockDataBytes));

    private void Accept(long index, int bytes)
    {
        // When the checks fail, the buffer holds no block.
        _blockIndex = -1;
        var block = _block.AsSpan(0, bytes);
        if (bytes < BlockBytes(index))
        {
            throw new KvDamagedFileException(_path, OffsetOf(index) + bytes, "the file ends within the value");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(block) != ValueBlock.Checksum(_header.Seed, index, block[sizeof(uint)..]))
        {
            throw new KvDamagedFileException(_path, OffsetOf(index), "the checksum of the block is wrong");
        }

        _blockIndex = index;
        _blockDataBytes = bytes - sizeof(uint);
    }

    private int Take(Span<byte> buffer)
    {
        var offset = (int)(_position - (_blockIndex * LogFormat.ValueBlockDataBytes));
        var taken = Math.Min(buffer.Length, _blockDataBytes - offset);
        _block.AsSpan(sizeof(uint) + offset, taken).CopyTo(buffer);
        _position += taken;
        return taken;
    }
}
