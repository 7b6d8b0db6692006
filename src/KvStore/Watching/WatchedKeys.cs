namespace KvStore.Watching;

/// <summary>The keys that a watcher is shown: one key, or those that begin with a prefix.</summary>
/// <param name="Utf8">The key or the prefix in UTF-8.</param>
/// <param name="IsOneKey">Whether it is a key.</param>
internal readonly record struct WatchedKeys(byte[] Utf8, bool IsOneKey)
{
    /// <summary>Whether a key is one of them.</summary>
    public bool Contains(ReadOnlySpan<byte> key) => IsOneKey ? key.SequenceEqual(Utf8) : key.StartsWith(Utf8);
}
