using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>Writes a large value to its file as it comes, block by block, each with a checksum.</summary>
/// <remarks>
/// The file is created with its first block. When a block finds no space while files of replaced values wait for a flush of the log, they
/// are removed, and the block is written once more.
/// </remarks>
internal sealed class ValueFileWriter(ValueFiles owner, IStorage storage, ValueFileNumbers numbers) : KvLargeValueWriter
{
    private byte[] _block = ArrayPool<byte>.Shared.Rent(LogFormat.ValueBlockBytes);
    private IStorageFile? _file;
    private FileHeader _header;
    private int _blockBytes = sizeof(uint);
    private long _blockIndex;
    private long _length;
    private bool _isComplete;
    private bool _isDisposed;

    public override long Length => _length;

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ThrowIfEnded();
        cancellationToken.ThrowIfCancellationRequested();
        while (!bytes.IsEmpty)
        {
            var taken = Math.Min(bytes.Length, LogFormat.ValueBlockBytes - _blockBytes);
            bytes.Span[..taken].CopyTo(_block.AsSpan(_blockBytes));
            bytes = bytes[taken..];
            _blockBytes += taken;
            _length += taken;
            if (_blockBytes == LogFormat.ValueBlockBytes && !TryWriteBlock(out _))
            {
                return WriteAfterwardsAsync(bytes, cancellationToken);
            }
        }

        return default;
    }

    public override async ValueTask<KvValueReference> CompleteAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfEnded();
        cancellationToken.ThrowIfCancellationRequested();
        if ((_blockBytes > sizeof(uint) || _file is null) && !TryWriteBlock(out _))
        {
            await WriteAgainAsync().ConfigureAwait(false);
        }

        // Not on the thread of the caller: a flush takes milliseconds.
        await ValueFileFlush.RunAsync(FlushFile).ConfigureAwait(false);
        var reference = new KvValueReference(_header.Number, _length) { Check = _header.Check };
        owner.Add(reference);
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
            _file?.Dispose();
            if (_file is not null && !_isComplete)
            {
                owner.Delete(_header.Number);
            }
        }

        return default;
    }

    private async ValueTask WriteAfterwardsAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken)
    {
        await WriteAgainAsync().ConfigureAwait(false);
        await WriteAsync(rest, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask WriteAgainAsync()
    {
        // Also when there was nothing to remove: another call may have removed it since the block was refused.
        await owner.MakeSpaceAsync().ConfigureAwait(false);
        if (!TryWriteBlock(out var lack))
        {
            throw owner.Failed(lack);
        }
    }

    /// <summary>Writes the block that was gathered, if there is one.</summary>
    /// <param name="lack">The error, when the disk has no space. Then the block may be written again.</param>
    private bool TryWriteBlock([NotNullWhen(false)] out Exception? lack)
    {
        owner.ThrowIfClosed();
        try
        {
            WriteBlock(_file ??= Begin());
            lack = null;
            return true;
        }
        catch (Exception e) when (NativeReservation.IsLackOfSpace(e) && e is not FlushFailedException)
        {
            lack = e;
            return false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw owner.Failed(e);
        }
    }

    private void WriteBlock(IStorageFile file)
    {
        if (_blockBytes == sizeof(uint))
        {
            return;
        }

        var block = _block.AsSpan(0, _blockBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(block, ValueBlock.Checksum(_header.Seed, _blockIndex, block[sizeof(uint)..]));
        file.Write(block, LogFormat.HeaderBytes + (_blockIndex * LogFormat.ValueBlockBytes));
        _blockIndex++;
        _blockBytes = sizeof(uint);
    }

    private IStorageFile Begin()
    {
        var id = numbers.Take();
        IStorageFile? file = null;
        try
        {
            file = owner.Begin(id);
            Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
            _header = FileHeader.Write(bytes, FileKind.Value, id, numbers.Directory);
            file.Write(bytes, 0);
            return file;
        }
        catch (Exception e) when (e is not ObjectDisposedException)
        {
            file?.Dispose();
            owner.Delete(id);
            throw;
        }
    }

    private void FlushFile()
    {
        try
        {
            Flushing.Flush(_file!);
            Flushing.FlushDirectory(storage);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw owner.Failed(e);
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
