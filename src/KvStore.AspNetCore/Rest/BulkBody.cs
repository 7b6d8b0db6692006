using KvStore.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace KvStore.Rest;

/// <summary>
/// The body of a bulk request, which is read twice: first all entries are checked, then they are stored. Up to 32 KiB are kept in
/// memory in between, more in a temporary file.
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

    /// <summary>Reads the body from its beginning, and calls a function for each entry before it reads the next one.</summary>
    /// <param name="unchanged">The sentence that ends the message when the body is malformed.</param>
    /// <param name="take">The function. The reader stands at the entry.</param>
    /// <exception cref="RefusedException">The body is not a JSON array, has too many entries, or an entry is too long (400).</exception>
    public async Task ForEachAsync(string unchanged, Func<KvBulkReader, ValueTask> take)
    {
        _stream.Position = 0;
        var reader = new KvBulkReader(_stream);
        await using (reader.ConfigureAwait(false))
        {
            while (await ReadAsync(reader, unchanged).ConfigureAwait(false))
            {
                if (reader.Count > _options.BulkEntriesMax)
                {
                    throw new RefusedException(Failure.Malformed(Invariant($"More than {_options.BulkEntriesMax} entries in one request. {unchanged}")));
                }

                await take(reader).ConfigureAwait(false);
            }
        }
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private async ValueTask<bool> ReadAsync(KvBulkReader reader, string unchanged)
    {
        try
        {
            return await reader.ReadAsync(_context.RequestAborted).ConfigureAwait(false);
        }
        catch (InvalidDataException)
        {
            throw new RefusedException(Failure.Malformed(Invariant(
                $"The body is not a JSON array of entries of at most {KvBulkReader.EntryBytesMax} bytes, long texts not counted: it breaks after {reader.Count} entries. {unchanged}")));
        }
    }

    /// <summary>Counts the bytes that have arrived, because the server keeps them until the request ends.</summary>
    private sealed class MeteredStream(Stream inner, BytesInFlight.Share share) : ForwardOnlyStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
            share.Add(read);
            return read;
        }
    }
}
