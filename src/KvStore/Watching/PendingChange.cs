namespace KvStore.Watching;

/// <summary>The newest change of a key that a watcher has not been shown.</summary>
/// <remarks>
/// A put is the hash of the key and the revision of the record, by which the index finds the record wherever the cleaner has moved it; so
/// it keeps neither the key nor the value alive. A key that is gone is nowhere else, so it is kept here.
/// </remarks>
/// <param name="Hash">The hash of the key.</param>
/// <param name="Revision">The revision of the change.</param>
/// <param name="Kind">A put, or why the key is gone.</param>
/// <param name="Key">The key in UTF-8 where it is gone; null for a put.</param>
internal readonly record struct PendingChange(ulong Hash, long Revision, KvChangeKind Kind, byte[]? Key)
{
    /// <summary>Orders changes by their revisions.</summary>
    public static readonly Comparison<PendingChange> ByRevision = static (left, right) => left.Revision.CompareTo(right.Revision);
}
