namespace KvStore.Requests;

/// <summary>
/// A body that announces itself to be too long: it tells its length, so that the namespace refuses it in its turn and with its
/// own message, and is never read.
/// </summary>
internal sealed class OverlongBody(long length) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position { get; set; }

    public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("A body that is too long is not read.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }
}
