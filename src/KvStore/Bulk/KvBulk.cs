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
/// Files are streamed, a few entries in memory at a time, so a file may be larger than memory. Where a put has to wait for a
/// disk the next ones are begun meanwhile, in order. A text of more than 256 KiB waits for its put in a temporary file, which
/// only this process can read. Safe to call from any thread.
/// </remarks>
public static class KvBulk
{
    /// <summary>Puts the entries of a bulk file, in order. One that is refused is reported, and the rest goes in.</summary>
    /// <param name="kv">Where to put them.</param>
    /// <param name="stream">The file, read from where it stands to its end, and not closed.</param>
    /// <param name="cancellationToken">Ends the import; what was put stays.</param>
    /// <returns>How many went in, and which did not and why.</returns>
    /// <exception cref="InvalidDataException">
    /// The file is not a JSON array, or breaks off. What stood before was put: the message says how many entries, and where the
    /// file is broken.
    /// </exception>
    public static async ValueTask<KvBulkResult> ImportAsync(
        IKvNamespace kv, Stream stream, CancellationToken cancellationToken = default)
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
            // What was begun ends before the caller hears of it.
            await puts.AbandonAsync().ConfigureAwait(false);
            throw;
        }

        return puts.ToResult();
    }

    /// <summary>
    /// Writes the entries of a namespace as a bulk file, in the order of their keys. Values that are not UTF-8 are written in
    /// base64. Entries that change meanwhile are written as they are when their turn comes.
    /// </summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="stream">Where to write. Flushed, and not closed.</param>
    /// <param name="prefix">Only keys that begin with exactly this; null or empty for all.</param>
    /// <param name="cancellationToken">Ends the export; the file is then not complete.</param>
    /// <returns>How many entries were written.</returns>
    public static async ValueTask<long> ExportAsync(
        IKvNamespace kv, Stream stream, string? prefix = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(stream);
        var writer = new BulkWriter(stream);
        await using (writer.ConfigureAwait(false))
        {
            await foreach (var listed in kv.ListAllAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                // Deleted or expired since it was listed, if it does not exist.
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

            // Where System.Text.Json says where, it also quotes what stands there. What the reader of entries says has no place.
            var reason = e is { LineNumber: { } line, BytePositionInLine: { } position }
                ? Invariant($", in line {line + 1} at byte {position + 1}.")
                : $". {e.Message}";
            throw new InvalidDataException(
                Invariant($"The bulk file is not a JSON array of entries: it breaks after {reader.Count} entries, of which {puts.Imported} were put{reason}"));
        }
    }
}
