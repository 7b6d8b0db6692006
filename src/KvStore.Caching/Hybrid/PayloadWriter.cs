using System.Buffers;

namespace KvStore.Hybrid;

/// <summary>Takes what a serializer writes, up to a limit.</summary>
/// <remarks>Thread safety: one caller. Dispose it after the last use of what was written.</remarks>
internal sealed class PayloadWriter(int bytesMax) : IBufferWriter<byte>, IDisposable
{
    private const int BytesMin = 256;

    private byte[] _buffer = [];
    private int _written;

    /// <summary>Whether more was written than the limit allows.</summary>
    public bool IsOverLimit { get; private set; }

    /// <summary>What was written, until this is disposed.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _written);

    /// <inheritdoc/>
    /// <exception cref="PayloadTooLargeException">The limit is exceeded.</exception>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _buffer.Length - _written);
        if (_written + count > bytesMax)
        {
            IsOverLimit = true;
            throw new PayloadTooLargeException();
        }

        _written += count;
    }

    /// <inheritdoc/>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _buffer.AsMemory(_written);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _buffer.AsSpan(_written);
    }

    public void Dispose()
    {
        var buffer = _buffer;
        _buffer = [];
        _written = 0;
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Grow(int sizeHint)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        var needed = checked(_written + Math.Max(sizeHint, 1));
        if (needed <= _buffer.Length)
        {
            return;
        }

        var grown = ArrayPool<byte>.Shared.Rent(Math.Max(needed, Math.Max(BytesMin, (int)Math.Min(2L * _buffer.Length, Array.MaxLength))));
        _buffer.AsSpan(0, _written).CopyTo(grown);
        var before = _buffer;
        _buffer = grown;
        if (before.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(before);
        }
    }
}

/// <summary>Ends a serializer that writes more than is cached. Never leaves the cache.</summary>
internal sealed class PayloadTooLargeException() : Exception("The value is longer than the limit of the cache.");
