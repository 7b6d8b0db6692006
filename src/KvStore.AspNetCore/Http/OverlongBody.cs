namespace KvStore.Http;

/// <summary>
/// A body that is known to be too long. Its length is enough for the namespace to refuse it with its own message; its bytes are never
/// read.
/// </summary>
internal sealed class OverlongBody(long length) : ForwardOnlyStream
{
    public override bool CanSeek => true;

    public override long Length => length;

    public override long Position { get; set; }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        throw new InvalidOperationException("A body that is too long is not read.");
}
