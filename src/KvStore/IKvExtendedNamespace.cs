namespace KvStore;

/// <summary>
/// What a namespace in this process can do beyond the Workers KV binding: conditional writes, many writes at once, reading many
/// entries, and watching for changes.
/// </summary>
/// <remarks>
/// <para>Workers KV has none of this. Code that stays on <see cref="IKvNamespace"/> is portable to the service; code that needs this
/// interface shows it at compile time. <see cref="KvNamespace"/> implements it; the views of regions do not.</para>
/// <para>Where a namespace has regions, writes are made in the home region, and conditions, counts, scans and changes are those of
/// the newest state, which regions see after their lag.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
public interface IKvExtendedNamespace : IKvNamespace
{
    /// <summary>Writes a value if a condition holds at the moment of the commit.</summary>
    /// <remarks>
    /// The condition is also checked before a stream is read or a large value is stored, so that a write that cannot succeed costs
    /// little. An entry that has expired is absent.
    /// </remarks>
    /// <param name="key">The key.</param>
    /// <param name="content">The value: text, bytes, a stream or a pipe, of at most 25 MiB.</param>
    /// <param name="condition">What must hold.</param>
    /// <param name="options">Expiration and metadata; what is left out is cleared.</param>
    /// <param name="cancellationToken">Cancels the write before it is committed; a cancelled write changes nothing.</param>
    /// <returns>
    /// Whether the value was written, with its revision; otherwise the revision that stands, 0 when the key does not exist. Completes
    /// when the value is visible to reads and as durable as the namespace is configured.
    /// </returns>
    /// <exception cref="ArgumentException">As for <see cref="IKvNamespace.PutAsync"/>; or the condition is <c>default</c>.</exception>
    /// <exception cref="KvException">As for <see cref="IKvNamespace.PutAsync"/>. Nothing has changed.</exception>
    ValueTask<KvWriteResult> TryPutAsync(
        string key, KvContent content, KvCondition condition, KvPutOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Deletes a key if a condition holds at the moment of the commit.</summary>
    /// <param name="key">The key.</param>
    /// <param name="condition">What must hold. With <see cref="KvCondition.Absent"/> there is nothing to delete, and nothing is written.</param>
    /// <param name="cancellationToken">Cancels the delete before it is committed.</param>
    /// <returns>
    /// Whether the condition held, with the revision of the delete, 0 where nothing had to be deleted; otherwise the revision that
    /// stands, 0 when the key does not exist.
    /// </returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the condition is <c>default</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    ValueTask<KvWriteResult> TryDeleteAsync(string key, KvCondition condition, CancellationToken cancellationToken = default);

    /// <summary>Gives an entry a new time to live, and keeps its value and metadata, which are not written again.</summary>
    /// <param name="key">The key.</param>
    /// <param name="expirationTtl">How long the entry lives from now on, by the rules of <see cref="KvPutOptions.ExpirationTtl"/>; null for ever.</param>
    /// <param name="cancellationToken">Cancels the call before it is committed.</param>
    /// <returns>False when the key does not exist or has expired; nothing was written then.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), or the time to live is out of range (400).</exception>
    ValueTask<bool> TouchAsync(string key, TimeSpan? expirationTtl, CancellationToken cancellationToken = default);

    /// <summary>
    /// Gives an entry a new time to live if a condition holds at the moment of the commit, for example while it still is the version that
    /// was read. Keeps its value and metadata, which are not written again.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="expirationTtl">How long the entry lives from now on, by the rules of <see cref="KvPutOptions.ExpirationTtl"/>; null for ever.</param>
    /// <param name="condition">What must hold. With <see cref="KvCondition.Absent"/> there is nothing to touch, and nothing is written.</param>
    /// <param name="cancellationToken">Cancels the call before it is committed.</param>
    /// <returns>
    /// Whether the key exists and the condition held, with the new revision; otherwise the revision that stands, 0 when the key does not
    /// exist.
    /// </returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the condition is <c>default</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), or the time to live is out of range (400).</exception>
    ValueTask<KvWriteResult> TryTouchAsync(
        string key, TimeSpan? expirationTtl, KvCondition condition, CancellationToken cancellationToken = default);

    /// <summary>Writes many entries in their order, with one flush for all where the namespace flushes each write.</summary>
    /// <remarks>
    /// <para>All entries are checked before the first is written. They are not one transaction: readers may see the first before the
    /// last, and after a failure those before the one that failed are stored, and none after it. The message says how many. Of two
    /// entries with one key the later one wins.</para>
    /// <para>One flush writes at most 16 MiB or 16,384 entries; a longer call takes several. A stream is read when its turn comes. Texts
    /// and bytes are copied then, so leave them unchanged until the task has completed.</para>
    /// <para>Where the rate of writes is limited, the call counts as one write of the namespace and of each key.</para>
    /// </remarks>
    /// <param name="entries">The entries; any number.</param>
    /// <param name="cancellationToken">
    /// Cancels the call before the first entry is written, and later where it waits: for a stream, or between two flushes. What was
    /// written stays.
    /// </param>
    /// <returns>A task that completes when all are visible to reads and as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentException">An entry has a key or a value that is not allowed; the message says which. Nothing has changed.</exception>
    /// <exception cref="KvException">An entry breaks a limit; the message says which. Nothing has changed.</exception>
    ValueTask PutManyAsync(IReadOnlyCollection<KvEntry> entries, CancellationToken cancellationToken = default);

    /// <summary>Deletes many keys, with one flush for all where the namespace flushes each write.</summary>
    /// <param name="keys">The keys; any number. One that is named twice counts once.</param>
    /// <param name="cancellationToken">Cancels the call before the first key is deleted, and later between two flushes.</param>
    /// <returns>How many of them existed when they were deleted; entries that had expired do not count.</returns>
    /// <exception cref="ArgumentException">A key is empty, <c>.</c> or <c>..</c>. Nothing has changed.</exception>
    /// <exception cref="KvException">A key is too long (414) or not Unicode (400). Nothing has changed.</exception>
    ValueTask<long> DeleteManyAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken = default);

    /// <summary>Deletes all keys that begin with a prefix.</summary>
    /// <remarks>
    /// Every entry that exists when the call begins, and is not written meanwhile, is deleted. Readers and writers go on, and the
    /// memory that it needs does not grow with the number of keys. It works in batches of 2,048 keys, with one flush each. Limits on the rate of
    /// writes do not apply to it.
    /// </remarks>
    /// <param name="prefix">The prefix; empty for all keys.</param>
    /// <param name="cancellationToken">Stops between two batches; what was deleted stays deleted.</param>
    /// <returns>How many entries were deleted.</returns>
    /// <exception cref="KvException">The prefix is too long (414) or not Unicode (400).</exception>
    ValueTask<long> DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default);

    /// <summary>Reads all entries whose keys begin with a prefix, with their values, in the order of their keys' UTF-8 bytes.</summary>
    /// <remarks>
    /// <para>The guarantees are those of a listing: an entry that is there from the beginning to the end of the scan is shown once. One that
    /// is written or deleted meanwhile is shown or not; each is shown as it was at one moment.</para>
    /// <para>A value stays valid when the scan goes on. Only a large value (<see cref="KvValue.IsLarge"/>) that has been replaced by then
    /// cannot be opened any more (410): open its stream before. Nothing need be disposed.</para>
    /// </remarks>
    /// <param name="prefix">The prefix; null or empty for all keys.</param>
    /// <param name="cancellationToken">Ends the scan.</param>
    /// <returns>The entries.</returns>
    /// <exception cref="KvException">The prefix is too long (414) or not Unicode (400).</exception>
    IAsyncEnumerable<KvScanEntry> ScanAsync(string? prefix = null, CancellationToken cancellationToken = default);

    /// <summary>Watches for changes.</summary>
    /// <remarks>
    /// <para>A reader that is slow skips intermediate versions of a key, but never the newest, and never goes backwards. What it costs
    /// is bounded by the keys that changed since it last read.</para>
    /// <para>The watch begins with the first <see cref="IAsyncEnumerator{T}.MoveNextAsync"/> and ends when the enumerator is disposed, the
    /// token is cancelled, or the namespace is disposed.</para>
    /// </remarks>
    /// <param name="options">Which keys, and from when on; null for all keys from now on.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes.</returns>
    /// <exception cref="ArgumentException">Options exclude each other or are out of range; the message names them.</exception>
    /// <exception cref="KvException">The key or the prefix is too long (414) or not Unicode (400).</exception>
    IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options = null, CancellationToken cancellationToken = default);
}
