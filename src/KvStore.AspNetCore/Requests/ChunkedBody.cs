using KvStore.Transport;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>
/// A body that comes in chunks. What is wrong with the chunks is the client's fault: it is told apart here from a failing disk,
/// which looks the same further on.
/// </summary>
internal sealed class ChunkedBody : Stream
{
    private readonly HttpContext _context;
    private readonly Stream _inner;
    private bool _isRead;

    private ChunkedBody(HttpContext context)
    {
        _context = context;
        _inner = context.Request.Body;
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Begins a request, before anything of its body is read.</summary>
    /// <returns>Its body, if that comes in chunks, to be ended when the request has been answered; otherwise null.</returns>
    public static ChunkedBody? Begin(HttpContext context)
    {
        var isChunked = context.Request.Headers.TransferEncoding.Count > 0;
        NulMarks.Begin(context, isChunked);
        if (!isChunked)
        {
            return null;
        }

        var body = new ChunkedBody(context);
        context.Request.Body = body;
        return body;
    }

    /// <summary>Ends the request.</summary>
    public void End() => NulMarks.End(_context, _isRead);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            var read = await _inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            _isRead |= read == 0 && !buffer.IsEmpty;
            return read;
        }
        catch (Exception e) when (e is IOException and not BadHttpRequestException or InvalidOperationException or ArgumentException or FormatException)
        {
            // Sizes that overflow, and trailers that are no headers: the server has a kind of exception for each.
            throw new BadHttpRequestException("The chunks of the body are malformed, or break off.", StatusCodes.Status400BadRequest, e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("This stream is read asynchronously.");

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }
}
