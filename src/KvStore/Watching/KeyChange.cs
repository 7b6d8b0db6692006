namespace KvStore.Watching;

/// <summary>A change of the newest state of a key, as it is published.</summary>
/// <param name="key">The key in UTF-8; valid only during the call that gets this.</param>
/// <param name="hash">The hash of the key.</param>
/// <param name="replaced">The revision of the record or tombstone that the key had before; 0 for none.</param>
/// <param name="revision">The revision of the change.</param>
/// <param name="kind">A put, or why the key is gone.</param>
internal readonly ref struct KeyChange(ReadOnlySpan<byte> key, ulong hash, long replaced, long revision, KvChangeKind kind)
{
    public ReadOnlySpan<byte> Key { get; } = key;

    public ulong Hash { get; } = hash;

    public long Replaced { get; } = replaced;

    public long Revision { get; } = revision;

    public KvChangeKind Kind { get; } = kind;
}
