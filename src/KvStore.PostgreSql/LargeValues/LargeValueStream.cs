namespace KvStore.PostgreSql.LargeValues;

/// <summary>Reads a large value, of which it holds one part at a time.</summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class LargeValueStream(LargeValueStore store, KvValueReference reference) : Stream
{
    private long _position;
    private byte[] _part = [];
    private int _number = -1;
    private bool _isDisposed;

    public override bool CanRead => !_isDisposed;

    public override bool CanSeek => !_isDisposed;

    public override bool CanWrite => false;

    public override long Length => reference.Length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    private int NumberAtPosition => (int)(_position / LargeValueStore.PartBytes);

    public override int Read(Span<byte> buffer)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (buffer.IsEmpty || _position >= Length)
        {
            return 0;
        }

        if (NumberAtPosition is var number && number != _number)
        {
            _part = store.Read(reference, number);
            _number = number;
        }

        return Copy(buffer);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancellationToken.ThrowIfCancellationRequested();
        if (buffer.IsEmpty || _position >= Length)
        {
            return 0;
        }

        if (NumberAtPosition is var number && number != _number)
        {
            _part = await store.ReadAsync(reference, number, cancellationToken).ConfigureAwait(false);
            _number = number;
        }

        return Copy(buffer.Span);
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override long Seek(long offset, SeekOrigin origin)
    {
        var target = origin switch
        {
            SeekOrigin.Begin => offset,
            SeekOrigin.Current => _position + offset,
            SeekOrigin.End => Length + offset,
            _ => throw new ArgumentOutOfRangeException(nameof(origin), origin, "The origin must be Begin, Current or End."),
        };
        return target < 0 ? throw new IOException(Invariant($"The position {target} is before the beginning of the value.")) : _position = target;
    }

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException("A stored value cannot be changed.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A stored value cannot be changed.");

    protected override void Dispose(bool disposing)
    {
        _isDisposed = true;
        _part = [];
        _number = -1;
        base.Dispose(disposing);
    }

    private int Copy(Span<byte> buffer)
    {
        var from = (int)(_position % LargeValueStore.PartBytes);
        var count = Math.Min(buffer.Length, _part.Length - from);
        _part.AsSpan(from, count).CopyTo(buffer);
        _position += count;
        return count;
    }
}
