using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>
/// A request body in chunks. Turns the exceptions of malformed chunks into <see cref="BadHttpRequestException"/>, so that a fault of
/// the client is not taken for a failing disk. Reports the beginning and the end of each request to its connection.
/// </summary>
internal sealed class ChunkedBody : ForwardOnlyStream
{
    private readonly HttpContext _context;
    private readonly Stream _inner;
    private bool _isRead;

    private ChunkedBody(HttpContext context)
    {
        _context = context;
        _inner = context.Request.Body;
    }

    /// <summary>Begins a request, before anything of its body is read.</summary>
    /// <returns>The body when it comes in chunks, which the caller ends when the request is answered; otherwise null.</returns>
    public static ChunkedBody? Begin(HttpContext context)
    {
        var isChunked = context.Request.Headers.TransferEncoding.Count > 0;
        context.Features.Get<IKvRequestLineFeature>()?.BeginRequest(context, isChunked);
        if (!isChunked)
        {
            return null;
        }

        var body = new ChunkedBody(context);
        context.Request.Body = body;
        return body;
    }

    /// <summary>Ends the request.</summary>
    public void End() => _context.Features.Get<IKvRequestLineFeature>()?.EndRequest(_context, _isRead);

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
            // The server has a kind of exception for each fault: sizes that overflow, trailers that are no headers.
            throw new BadHttpRequestException("The chunks of the body are malformed, or break off.", StatusCodes.Status400BadRequest, e);
        }
    }
}
