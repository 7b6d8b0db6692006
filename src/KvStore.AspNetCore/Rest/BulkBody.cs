using KvStore.Bulk;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace KvStore.Rest;

/// <summary>
/// The body of a bulk request, which is read twice: first all of it is checked, then its entries are handed on. What is not
/// small waits in a temporary file meanwhile.
/// </summary>
internal sealed class BulkBody : IAsyncDisposable
{
    private const int InMemoryBytesMax = 32 * 1024;

    private readonly HttpContext _context;
    private readonly KvApiOptions _options;
    private readonly FileBufferingReadStream _stream;

    public BulkBody(HttpContext context, KvApiOptions options, BytesInFlight.Share share)
    {
        RequestBody.Bound(context, options.BulkBytesMax);
        _context = context;
        _options = options;
        _stream = new FileBufferingReadStream(new MeteredStream(context.Request.Body, share), InMemoryBytesMax, bufferLimit: null, Path.GetTempPath());
    }

    /// <summary>Reads the body from its beginning, and hands each entry on before the next is read.</summary>
    /// <param name="unchanged">What to add to the message when the body is malformed.</param>
    /// <param name="take">Takes an entry; its index is one less than the reader's count.</param>
    /// <exception cref="RefusedException">It is not a JSON array, or has too many entries (400), or an entry too long (400).</exception>
    public async Task ForEachAsync(string unchanged, Func<BulkReader, ReadOnlyMemory<byte>, ValueTask> take)
    {
        _stream.Position = 0;
        var reader = new BulkReader(_stream);
        await using (reader.ConfigureAwait(false))
        {
            while (await NextAsync(reader, unchanged).ConfigureAwait(false) is { } entry)
            {
                if (reader.Count > _options.BulkEntriesMax)
                {
                    throw new RefusedException(Failure.Malformed(Invariant($"More than {_options.BulkEntriesMax} entries in one request. {unchanged}")));
                }

                await take(reader, entry).ConfigureAwait(false);
            }
        }
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private async ValueTask<ReadOnlyMemory<byte>?> NextAsync(BulkReader reader, string unchanged)
    {
        try
        {
            return await reader.ReadAsync(_context.RequestAborted).ConfigureAwait(false);
        }
        catch (System.Text.Json.JsonException)
        {
            throw new RefusedException(Failure.Malformed(
                $"The body is not a JSON array of entries of at most {BulkReader.EntryBytesMax} bytes, long texts not counted: it breaks after {reader.Count} entries. {unchanged}"));
        }
    }

    // Counts what has come in, since from then on it is held.
    private sealed class MeteredStream(Stream inner, BytesInFlight.Share share) : Stream
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
            var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            share.Add(read);
            return read;
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
