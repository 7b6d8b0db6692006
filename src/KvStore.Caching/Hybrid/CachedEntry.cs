namespace KvStore.Hybrid;

/// <summary>What is known in memory of an entry of the namespace, in one version.</summary>
/// <param name="key">The key of the caller.</param>
/// <param name="revision">The version.</param>
/// <param name="header">When the version expires, and its tags.</param>
internal class CachedEntry(string key, long revision, EntryHeader header)
{
    private long _until;

    /// <summary>The key of the caller.</summary>
    public string Key { get; } = key;

    /// <summary>The revision of the version.</summary>
    public long Revision { get; } = revision;

    /// <summary>When the version expires, and its tags.</summary>
    public EntryHeader Header { get; } = header;

    /// <summary>
    /// The moment up to which the version is what the key has, as long as this is in <see cref="CachedEntries"/>: when it expires for a caller who
    /// reads without restrictions, in milliseconds since 1970. 0 until <see cref="Confirm"/>: compare the revision with the namespace.
    /// </summary>
    public long Until => Volatile.Read(ref _until);

    /// <summary>The next entry in its bucket; set by <see cref="CachedEntries"/>.</summary>
    public CachedEntry? Next { get; set; }

    /// <summary>
    /// The namespace has this version, and did so after this was added to <see cref="CachedEntries"/>, from where the next change of the key removes it.
    /// </summary>
    public void Confirm() => Volatile.Write(ref _until, Math.Max(Header.Expires, Header.LocalExpires));
}

/// <summary>An entry whose value nobody can change, with the object that all callers get.</summary>
/// <typeparam name="T">The type as which the value was asked for.</typeparam>
internal sealed class CachedEntry<T>(string key, long revision, EntryHeader header, T value) : CachedEntry(key, revision, header)
{
    /// <summary>The value.</summary>
    public T Value { get; } = value;
}
