namespace KvStore.PostgreSql.Feed;

/// <summary>
/// What the feed asks of the database. A seam: the tests of the feed have a model in its place, with which they try thousands of schedules.
/// </summary>
/// <remarks>One call at a time.</remarks>
internal interface IFeedSource
{
    /// <summary>Passes every entry to the host.</summary>
    ValueTask<FeedState> LoadAsync(IKvEngineHost host, CancellationToken cancellationToken);

    /// <summary>The keys that transactions changed which are visible now and were not in an earlier snapshot.</summary>
    ValueTask<FeedChanges> ReadChangesAsync(string previousSnapshot, CancellationToken cancellationToken);

    /// <summary>The present state of some keys: entries, and deletes where those are known. Keys without either are left out.</summary>
    ValueTask<IReadOnlyList<KvMutation>> ReadRowsAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, CancellationToken cancellationToken);

    /// <summary>
    /// Shows key and revision of every entry and of every delete that is known, in the order of the bytes of the keys. The deletes belong to
    /// it: an older write of this process may be committed and not published yet.
    /// </summary>
    ValueTask<FeedState> CompareAsync(Action<byte[], long> show, CancellationToken cancellationToken);

    /// <summary>Makes sure that the server gives no revision that was given before, by a server from which it has not received everything.</summary>
    ValueTask AdoptAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Gives new revisions to some entries, above the one given, and makes all later revisions higher as well: the database was set back,
    /// and processes have seen higher revisions than it has.
    /// </summary>
    ValueTask RaiseAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, long above, CancellationToken cancellationToken);
}

/// <summary>A state of the database.</summary>
/// <param name="Snapshot">Which transactions it shows, as the source writes it: see <see cref="FeedPosition"/>.</param>
/// <param name="Identity">Which server, database, copy and start of the server it is. A difference means that snapshots cannot be compared.</param>
/// <param name="LastRevision">The last revision that was given.</param>
/// <param name="Entries">How many entries were passed on.</param>
internal sealed record FeedState(string Snapshot, string Identity, long LastRevision, long Entries);

/// <summary>The difference of two snapshots.</summary>
/// <param name="Snapshot">The later one.</param>
/// <param name="Identity">See <see cref="FeedState"/>.</param>
/// <param name="LastRevision">The last revision that was given.</param>
/// <param name="HasGap">Whether changes in between may have been removed.</param>
/// <param name="Keys">The keys.</param>
internal sealed record FeedChanges(string Snapshot, string Identity, long LastRevision, bool HasGap, IReadOnlyList<ChangedKey> Keys);

/// <summary>A key that changed.</summary>
/// <param name="Key">The key in UTF-8.</param>
/// <param name="Revision">The highest revision of its changes.</param>
internal readonly record struct ChangedKey(ReadOnlyMemory<byte> Key, long Revision);
