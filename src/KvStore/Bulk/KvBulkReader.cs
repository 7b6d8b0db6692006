using System.Text.Json;
using KvStore.Bulk;

namespace KvStore;

/// <summary>
/// Reads a bulk file entry by entry, in the format of <see cref="KvBulk"/>, or a JSON array of keys. For servers that check all
/// entries before they store the first.
/// </summary>
/// <remarks>
/// One entry is in memory at a time, at most <see cref="EntryBytesMax"/> bytes. A string of more than 256 KiB is kept in a temporary
/// file, which only this process can read. For one caller at a time.
/// </remarks>
public sealed class KvBulkReader : IAsyncDisposable
{
    /// <summary>The longest entry: 4,194,304 bytes (4 MiB) of JSON. Strings of more than 256 KiB do not count.</summary>
    public const int EntryBytesMax = BulkReader.EntryBytesMax;

    private readonly BulkReader _reader;
    private ReadOnlyMemory<byte>? _json;

    /// <summary>Reads a file from the current position of the stream.</summary>
    /// <param name="stream">The file. It is not closed.</param>
    public KvBulkReader(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        _reader = new BulkReader(stream);
    }

    /// <summary>How many entries have been read, the current one included.</summary>
    public long Count => _reader.Count;

    /// <summary>Reads the next entry. The values of the entry before can no longer be read.</summary>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <returns>Whether there is an entry; false at the end of the file.</returns>
    /// <exception cref="InvalidDataException">The file is not a JSON array, or ends too early, or the entry is too long.</exception>
    public async ValueTask<bool> ReadAsync(CancellationToken cancellationToken = default)
    {
        _json = null;
        try
        {
            _json = await _reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException)
        {
            // Without the message of the cause, which quotes the file.
            throw new InvalidDataException(Invariant(
                $"The file is not a JSON array of entries of at most {EntryBytesMax} bytes, long texts not counted: it breaks after {Count} entries."));
        }

        return _json is not null;
    }

    /// <summary>Reads the current entry as one to be put.</summary>
    /// <param name="cancellationToken">Ends the reading of a long value.</param>
    /// <returns>The entry, which the caller disposes.</returns>
    /// <exception cref="FormatException">A property is missing, has the wrong type or is too long; the message says which.</exception>
    /// <exception cref="KvException">A number of seconds cannot be an expiration (400).</exception>
    /// <exception cref="InvalidOperationException">There is no current entry.</exception>
    public async ValueTask<KvBulkEntry> GetEntryAsync(CancellationToken cancellationToken = default)
    {
        using var document = BulkEntry.Open(Current);
        var key = BulkEntry.KeyOf(document.RootElement, _reader.Texts);
        return new KvBulkEntry(await BulkEntry.ParseAsync(document.RootElement, key, _reader.Texts, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Reads the current entry as a key: a string, or an object with the property <c>name</c>, as listings show it.</summary>
    /// <returns>The key.</returns>
    /// <exception cref="FormatException">The entry is no key, or much too long.</exception>
    /// <exception cref="InvalidOperationException">There is no current entry.</exception>
    public string GetKey()
    {
        using var document = BulkEntry.Open(Current);
        return BulkEntry.NameOf(document.RootElement, _reader.Texts);
    }

    /// <summary>Releases the buffers and temporary files.</summary>
    /// <returns>A task that completes when they are released.</returns>
    public ValueTask DisposeAsync() => _reader.DisposeAsync();

    private ReadOnlyMemory<byte> Current => _json ?? throw new InvalidOperationException($"There is no current entry: call {nameof(ReadAsync)} first.");
}
