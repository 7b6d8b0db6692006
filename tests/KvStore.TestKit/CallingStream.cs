namespace KvStore.TestKit;

/// <summary>A stream of one byte, which calls back once before it ends; what the callback throws, the read throws.</summary>
public sealed class CallingStream(Action atEnd) : Stream
{
    private int _reads;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        switch (_reads++)
        {
            case 0:
                buffer[offset] = (byte)'v';
                return 1;
            case 1:
                atEnd();
                return 0;
            default:
                return 0;
        }
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
