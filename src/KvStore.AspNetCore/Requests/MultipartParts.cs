using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace KvStore.Requests;

/// <summary>
/// The parts of a body that is <c>multipart/form-data</c>. Whatever is wrong with them is the client's fault, and told apart
/// here from a failing disk that the parts are written to.
/// </summary>
internal sealed class MultipartParts
{
    private const int BoundaryCharsMax = 200;

    private readonly HttpContext _context;
    private readonly MultipartReader _reader;

    /// <exception cref="RefusedException">The content type has no boundary, or one that is too long (400).</exception>
    public MultipartParts(HttpContext context)
    {
        _context = context;
        var boundary = MediaTypeHeaderValue.TryParse(context.Request.ContentType, out var type) ? HeaderUtilities.RemoveQuotes(type.Boundary).Value : null;
        if (boundary is not { Length: > 0 and <= BoundaryCharsMax })
        {
            throw new RefusedException(Failure.Malformed($"The content type multipart/form-data needs a boundary of at most {BoundaryCharsMax} characters."));
        }

        _reader = new MultipartReader(boundary, context.Request.Body) { HeadersCountLimit = 16, HeadersLengthLimit = 8 * 1024 };
    }

    /// <summary>The next part, or null when there is none.</summary>
    /// <exception cref="RefusedException">The body is malformed, or breaks off (400).</exception>
    public async ValueTask<MultipartSection?> NextAsync()
    {
        try
        {
            if (await _reader.ReadNextSectionAsync(_context.RequestAborted).ConfigureAwait(false) is not { } section)
            {
                return null;
            }

            section.Body = new Part(section.Body, _context.RequestAborted);
            return section;
        }
        catch (Exception e) when (IsClientsFault(e, _context.RequestAborted))
        {
            throw Malformed(e);
        }
    }

    private static bool IsClientsFault(Exception e, CancellationToken aborted) =>
        e is InvalidDataException or (IOException and not BadHttpRequestException) && !aborted.IsCancellationRequested;

    private static RefusedException Malformed(Exception e) => new(Failure.Malformed(MultipartText.WhatIsWrong(e)));

    /// <summary>What is in a part.</summary>
    private sealed class Part(Stream inner, CancellationToken aborted) : Stream
    {
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
            try
            {
                return await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (IsClientsFault(e, aborted))
            {
                throw Malformed(e);
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
}
