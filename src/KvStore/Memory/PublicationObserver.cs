using KvStore.Records;

namespace KvStore.Memory;

/// <summary>
/// Hears of one mutation at the moment of its publication, and decides whether it becomes the newest of its key. The seam
/// through which replication is told what regions have not heard yet; a new one comes along with each mutation.
/// </summary>
internal abstract class PublicationObserver
{
    /// <summary>
    /// Called under the lock of the key's shard, before any reader sees a change. It must not call the store's writers.
    /// </summary>
    /// <param name="key">The key in UTF-8; not to be kept.</param>
    /// <param name="hash">Its hash.</param>
    /// <param name="before">The record that the key has, which may have expired; none when it has no value.</param>
    /// <param name="after">The record that is being published; none for a delete.</param>
    /// <param name="revision">The number of the mutation.</param>
    /// <param name="isNewest">Whether the key has no record or tombstone of a higher number.</param>
    /// <returns>Whether it becomes the key's newest; when not, it is given up. Of no account when a newer one is there.</returns>
    public abstract bool OnPublishing(
        ReadOnlySpan<byte> key, ulong hash, Record before, Record after, long revision, bool isNewest);
}
