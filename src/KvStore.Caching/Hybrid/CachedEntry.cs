namespace KvStore.Hybrid;

/// <summary>What is known in memory of an entry of the namespace, in one version.</summary>
/// <param name="key">The key of the caller.</param>
/// <param name="revision">The version.</param>
/// <param name="header">When the version expires, and its tags.</param>
/// <param name="stamp">The count at which this version was seen.</param>
internal class CachedEntry(string key, long revision, EntryHeader header, KvChangeStamp stamp)
{
    // Replaced by readers at the same time. Its slot is always the same, so a mixture of two is one of them.
    private KvChangeStamp _stamp = stamp;

    /// <summary>The key of the caller.</summary>
    public string Key { get; } = key;

    /// <summary>The revision of the version.</summary>
    public long Revision { get; } = revision;

    /// <summary>When the version expires, and its tags.</summary>
    public EntryHeader Header { get; } = header;

    /// <summary>When the version expires for a caller who reads without restrictions, in milliseconds since 1970.</summary>
    public long Until { get; } = Math.Max(header.Expires, header.LocalExpires);

    /// <summary>The count at which this version was seen in the namespace. While it is unchanged, the version still stands.</summary>
    public ref KvChangeStamp Stamp => ref _stamp;

    /// <summary>The hash of <see cref="Key"/>; set by <see cref="CachedEntries"/>.</summary>
    public uint Hash { get; set; }

    /// <summary>The next entry in its bucket; set by <see cref="CachedEntries"/>.</summary>
    public CachedEntry? Next { get; set; }
}

/// <summary>An entry whose value nobody can change, with the object that all callers get.</summary>
/// <typeparam name="T">The type as which the value was asked for.</typeparam>
internal sealed class CachedEntry<T>(string key, long revision, EntryHeader header, KvChangeStamp stamp, T value) : CachedEntry(key, revision, header, stamp)
{
    /// <summary>The value.</summary>
    public T Value { get; } = value;
}
