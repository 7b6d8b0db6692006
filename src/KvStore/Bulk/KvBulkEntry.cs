using KvStore.Bulk;

namespace KvStore;

/// <summary>An entry of a bulk file, ready to be put. For one caller at a time.</summary>
public sealed class KvBulkEntry : IAsyncDisposable
{
    private readonly BulkEntry _entry;

    internal KvBulkEntry(BulkEntry entry) => _entry = entry;

    /// <summary>The key, not checked against any limits.</summary>
    public string Key => _entry.Key;

    /// <summary>The value.</summary>
    public KvContent Content => _entry.Content;

    /// <summary>The length of the value in bytes.</summary>
    public long ValueBytes => _entry.ValueBytes;

    /// <summary>
    /// Whether the value is read from a temporary file, which is there until the entry is disposed or the next entry is read. A put
    /// of it must complete before that.
    /// </summary>
    public bool IsStreamed => _entry.Content.IsStreamed;

    /// <summary>The options of the put; null for none.</summary>
    public KvPutOptions? Options => _entry.Options;

    /// <summary>Releases a value that is not in memory.</summary>
    /// <returns>A task that completes when it is released.</returns>
    public ValueTask DisposeAsync() => _entry.DisposeAsync();
}
