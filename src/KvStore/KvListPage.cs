namespace KvStore;

/// <summary>One page of a listing, in the order of the keys' UTF-8 bytes. Immutable.</summary>
public sealed class KvListPage
{
    /// <summary>Makes a page.</summary>
    /// <param name="keys">The keys, in order.</param>
    /// <param name="cursor">Where the next page begins, or null when this is the last one.</param>
    /// <param name="cacheStatus"><c>HIT</c>, <c>MISS</c> or <c>EXPIRED</c> where a region caches listings, else null.</param>
    public KvListPage(IReadOnlyList<KvListKey> keys, string? cursor, string? cacheStatus = null)
    {
        ArgumentNullException.ThrowIfNull(keys);
        Keys = keys;
        Cursor = cursor;
        CacheStatus = cacheStatus;
    }

    /// <summary>The keys of this page, in the order of their UTF-8 bytes.</summary>
    public IReadOnlyList<KvListKey> Keys { get; }

    /// <summary>True when no further key matched at the time of the call. Exact: also when the last page is full.</summary>
    public bool ListComplete => Cursor is null;

    /// <summary>What to give as <see cref="KvListOptions.Cursor"/> for the next page; null when <see cref="ListComplete"/>.</summary>
    public string? Cursor { get; }

    /// <summary><c>HIT</c>, <c>MISS</c> or <c>EXPIRED</c> where a region caches listings; otherwise null.</summary>
    public string? CacheStatus { get; }
}
