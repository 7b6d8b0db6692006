namespace KvStore.Hybrid;

/// <summary>What is known in memory of an entry of the namespace, in one version.</summary>
/// <param name="key">The key of the caller.</param>
/// <param name="storeKey">The key in the namespace.</param>
/// <param name="revision">The version.</param>
/// <param name="header">When the version expires, and its tags.</param>
internal class CachedEntry(string key, string storeKey, long revision, EntryHeader header)
{
    /// <summary>A stamp that no count of changes has.</summary>
    public const long NoStamp = -1;

    private long _stamp = NoStamp;

    /// <summary>The key of the caller.</summary>
    public string Key { get; } = key;

    /// <summary>The key in the namespace.</summary>
    public string StoreKey { get; } = storeKey;

    /// <summary>The revision of the version.</summary>
    public long Revision { get; } = revision;

    /// <summary>When the version expires, and its tags.</summary>
    public EntryHeader Header { get; } = header;

    /// <summary>When the version expires for a caller who reads without restrictions, in milliseconds since 1970.</summary>
    public long Until { get; } = Math.Max(header.Expires, header.LocalExpires);

    /// <summary>The count of changes at which this version was seen in the namespace. While the count is the same, it still stands.</summary>
    public long Stamp
    {
        get => Volatile.Read(ref _stamp);
        set => Volatile.Write(ref _stamp, value);
    }

    /// <summary>The hash of <see cref="Key"/>; set by <see cref="CachedEntries"/>.</summary>
    public uint Hash { get; set; }

    /// <summary>The next entry in its bucket; set by <see cref="CachedEntries"/>.</summary>
    public CachedEntry? Next { get; set; }
}

/// <summary>An entry whose value nobody can change, with the object that all callers get.</summary>
/// <typeparam name="T">The type as which the value was asked for.</typeparam>
internal sealed class CachedEntry<T>(string key, string storeKey, long revision, EntryHeader header, T value) : CachedEntry(key, storeKey, revision, header)
{
    /// <summary>The value.</summary>
    public T Value { get; } = value;
}
