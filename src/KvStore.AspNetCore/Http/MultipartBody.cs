using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace KvStore.Http;

/// <summary>
/// The parts of a body that is <c>multipart/form-data</c>, in their order. Turns the exceptions of malformed parts into
/// <see cref="RefusedException"/>, so that a fault of the client is not taken for a failing disk.
/// </summary>
internal sealed class MultipartBody
{
    /// <summary>What names the content type.</summary>
    public const string MediaType = "multipart/form-data";

    private const int BoundaryCharsMax = 200;

    private readonly HttpContext _context;
    private readonly MultipartReader _reader;

    /// <exception cref="RefusedException">The content type has no boundary, or one that is too long (400).</exception>
    public MultipartBody(HttpContext context)
    {
        _context = context;
        var boundary = MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type) ? HeaderUtilities.RemoveQuotes(type.Boundary).Value : null;
        if (boundary is not { Length: > 0 and <= BoundaryCharsMax })
        {
            throw new RefusedException(Failure.Malformed($"The content type {MediaType} needs a boundary of at most {BoundaryCharsMax} characters."));
        }

        _reader = new MultipartReader(boundary, context.Request.Body) { HeadersCountLimit = 16, HeadersLengthLimit = 8 * 1024 };
    }

    /// <summary>The next part, or null after the last one. The part before can no longer be read.</summary>
    /// <exception cref="RefusedException">The body is malformed, or breaks off (400).</exception>
    public async ValueTask<MultipartPart?> NextAsync()
    {
        try
        {
            return await _reader.ReadNextSectionAsync(_context.RequestAborted).ConfigureAwait(false) is { } section
                ? new MultipartPart(section.ContentDisposition, new PartStream(section.Body, _context.RequestAborted), _context.RequestAborted)
                : null;
        }
        catch (Exception e) when (IsFaultOfClient(e, _context.RequestAborted))
        {
            throw Malformed(e);
        }
    }

    /// <summary>Whether an exception of the framework's readers says that the client sent something malformed.</summary>
    public static bool IsFaultOfClient(Exception e, CancellationToken aborted) =>
        e is InvalidDataException or (IOException and not BadHttpRequestException) && !aborted.IsCancellationRequested;

    // Without the messages of the framework's readers, which quote the line that they cannot read.
    private static RefusedException Malformed(Exception e) => new(Failure.Malformed(e is InvalidDataException
        ? "The body is malformed: the headers of a part are not well formed, or a part, a header or a name is too long."
        : "The body is malformed: it ends before its last part does, or its parts are not divided by the boundary that the header Content-Type names."));

    private sealed class PartStream(Stream inner, CancellationToken aborted) : ForwardOnlyStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (IsFaultOfClient(e, aborted))
            {
                throw Malformed(e);
            }
        }
    }
}
