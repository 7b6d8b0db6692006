namespace KvStore;

/// <summary>Which keys a page lists.</summary>
public sealed record KvListOptions
{
    /// <summary>Only keys that begin with exactly this text, of at most 512 bytes of UTF-8; null or empty for all.</summary>
    public string? Prefix { get; init; }

    /// <summary>The most keys the page may hold: 1 to 1,000. Null, 0 and less are as 1,000.</summary>
    public int? Limit { get; init; }

    /// <summary>
    /// Where the page before ended (<see cref="KvListPage.Cursor"/>); null or empty to begin. The prefix must be given again
    /// with each page.
    /// </summary>
    public string? Cursor { get; init; }
}
