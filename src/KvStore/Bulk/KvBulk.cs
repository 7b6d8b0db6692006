using System.Globalization;
using System.Text.Json;
using KvStore.Bulk;
using KvStore.Reads;

namespace KvStore;

/// <summary>
/// Reads and writes bulk files, in the format of <c>wrangler kv bulk put</c>:
/// <c>[{ "key": "...", "value": "...", "base64": false, "expiration": 0, "expiration_ttl": 60, "metadata": {} }]</c>,
/// where only key and value are required. Source: Workers KV, "Write data in bulk".
/// </summary>
/// <remarks>
/// Files are streamed, at most about 8 MiB of entries in memory at a time, so a file may be larger than memory. When a put waits for a disk, the
/// next puts are begun meanwhile, in order. A text of more than 256 KiB waits for its put in a temporary file, which only this
/// process can read. Thread safety: all members, from any thread.
/// </remarks>
public static class KvBulk
{
    /// <summary>Puts the entries of a bulk file, in order. An entry that is refused is reported, and the import continues.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="stream">The file. It is read from its current position to its end, and not closed.</param>
    /// <param name="cancellationToken">Ends the import. Entries that were put stay.</param>
    /// <returns>The number of entries that were put, and the entries that were refused, with the reasons.</returns>
    /// <exception cref="InvalidDataException">
    /// The file is not a JSON array, or is cut off. The entries before that were put; the message has their number, and the position
    /// at which the file is broken.
    /// </exception>
    public static async ValueTask<KvBulkResult> ImportAsync(
        this IKvNamespace kv, Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(stream);
        var reader = new BulkReader(stream);
        await using var _ = reader.ConfigureAwait(false);
        var puts = new BulkPuts(kv);
        try
        {
            while (await ReadAsync(reader, puts, cancellationToken).ConfigureAwait(false) is { } json)
            {
                await puts.PutAsync(reader, json, cancellationToken).ConfigureAwait(false);
            }

            await puts.CompleteAsync().ConfigureAwait(false);
        }
        catch
        {
            // The puts that were begun end before the caller sees the exception.
            await puts.AbandonAsync().ConfigureAwait(false);
            throw;
        }

        return puts.ToResult();
    }

    /// <summary>
    /// Writes the entries of a namespace as a bulk file, in the order of their keys. Values that are not UTF-8 are written in
    /// base64. An entry that changes during the export is written as it is when the export reads it.
    /// </summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="stream">The destination. It is flushed, and not closed.</param>
    /// <param name="prefix">Only keys with this prefix; null or empty for all keys.</param>
    /// <param name="cancellationToken">Ends the export; the file is then not complete.</param>
    /// <returns>The number of entries that were written.</returns>
    public static async ValueTask<long> ExportAsync(
        this IKvNamespace kv, Stream stream, string? prefix = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(stream);
        var writer = new BulkWriter(stream);
        await using (writer.ConfigureAwait(false))
        {
            await foreach (var listed in kv.ListAllAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                // The entry does not exist when it was deleted or expired after it was listed.
                var value = await kv.GetAsync(listed.Name, options: null, cancellationToken).ConfigureAwait(false);
                try
                {
                    if (value.Exists)
                    {
                        await writer.WriteAsync(listed.Name, value, cancellationToken).ConfigureAwait(false);
                    }
                }
                finally
                {
                    kv.DisposeIfOwned(value);
                }
            }

            return await writer.CompleteAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(BulkReader reader, BulkPuts puts, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException e)
        {
            await puts.CompleteAsync().ConfigureAwait(false);

            // An exception of System.Text.Json with a position also quotes the file. One of the reader of entries has no position.
            var reason = e is { LineNumber: { } line, BytePositionInLine: { } position }
                ? Invariant($", in line {line + 1} at byte {position + 1}.")
                : $". {e.Message}";
            throw new InvalidDataException(
                Invariant($"The bulk file is not a JSON array of entries: it breaks after {reader.Count} entries, of which {puts.Imported} were put{reason}"));
        }
    }
}
