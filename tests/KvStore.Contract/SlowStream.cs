namespace KvStore.Contract;

/// <summary>A source of unknown length that yields so many bytes at a time, and may break.</summary>
internal sealed class SlowStream(byte[] content, int bytesAtATime) : Stream
{
    private int _position;

    /// <summary>Where it breaks; never, unless it is set.</summary>
    public int FailsAt { get; init; } = int.MaxValue;

    public bool IsUntouched { get; private set; } = true;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        IsUntouched = false;
        await Task.Yield();
        if (_position >= FailsAt)
        {
            throw new IOException("The source broke.");
        }

        var count = Math.Min(Math.Min(bytesAtATime, buffer.Length), content.Length - _position);
        content.AsSpan(_position, count).CopyTo(buffer.Span);
        _position += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
