using KvStore.Records;

namespace KvStore.Memory;

/// <summary>
/// Is notified of one mutation at the moment of its publication, and decides whether it becomes the newest of its key.
/// Replication records here which regions have not received the mutation. Each mutation has its own observer.
/// </summary>
internal abstract class PublicationObserver
{
    /// <summary>
    /// Called while the lock of the key's shard is held, before a reader can see the change. Must not call the store's writers.
    /// </summary>
    /// <param name="key">The key in UTF-8; valid only during the call.</param>
    /// <param name="hash">The hash of the key.</param>
    /// <param name="before">The record that the key has, which may have expired; none when the key has no value.</param>
    /// <param name="after">The record that is being published; none for a delete.</param>
    /// <param name="revision">The revision of the mutation.</param>
    /// <param name="isNewest">Whether the key has no record or tombstone of a higher revision.</param>
    /// <returns>
    /// Whether the mutation becomes the newest of its key. When false, the store abandons it. The store ignores the result when the
    /// key has a newer mutation.
    /// </returns>
    public abstract bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest);
}
