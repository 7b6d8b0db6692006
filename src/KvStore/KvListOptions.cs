namespace KvStore;

/// <summary>The options of a list: which keys a page has.</summary>
public sealed record KvListOptions
{
    /// <summary>Only keys that begin with exactly this text, of at most 512 bytes of UTF-8; null or empty for all.</summary>
    public string? Prefix { get; init; }

    /// <summary>The most keys of the page: 1 to 1,000. Null and numbers below 1 mean 1,000.</summary>
    public int? Limit { get; init; }

    /// <summary>
    /// The <see cref="KvListPage.Cursor"/> of the page before; null or empty for the first page. Give the prefix with each page.
    /// </summary>
    public string? Cursor { get; init; }
}
