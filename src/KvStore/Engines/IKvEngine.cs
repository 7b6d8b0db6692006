namespace KvStore;

/// <summary>
/// An engine outside the process that several processes share, for example a database. It decides and orders all writes of a namespace.
/// The namespace keeps every entry in memory as well, and serves reads, lists and watches from there.
/// </summary>
/// <remarks>
/// <para>An engine differs from an <see cref="IKvPersistence"/>: the engine gives the revisions, a write is committed there before it is
/// visible here, and mutations of other processes arrive at any time: <see cref="IKvEngineHost.Apply"/>.</para>
/// <para>An engine serves one namespace: <see cref="OpenAsync"/>, then everything else, then
/// <see cref="IAsyncDisposable.DisposeAsync"/>.</para>
/// <para>Revisions are positive. Those of one key grow with each mutation. Revisions of different keys may arrive in any order.</para>
/// <para>Thread safety: once the engine is open, all members may be called from any thread.</para>
/// </remarks>
public interface IKvEngine : IAsyncDisposable
{
    /// <summary>Whether writes are taken and the replica is fresh, and if not, why.</summary>
    KvPersistenceHealth Health { get; }

    /// <summary>Keeps large values outside memory; null when the engine does not.</summary>
    IKvLargeValues? LargeValues { get; }

    /// <summary>Passes every entry to the host, and the mutations of other processes from then on.</summary>
    /// <param name="host">The replica. Its members are called until the engine is disposed.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>How many entries there were, and the highest revision that the engine has given to any mutation.</returns>
    /// <exception cref="KvPersistenceException">The engine cannot be opened; the message says why.</exception>
    ValueTask<KvRecovery> OpenAsync(IKvEngineHost host, CancellationToken cancellationToken = default);

    /// <summary>
    /// Commits a write. Writes of one key are committed in the order of the calls. The caller publishes the write in memory when the
    /// task has completed.
    /// </summary>
    /// <param name="write">The write, whose memory stays valid and unchanged until the task has completed.</param>
    /// <param name="cancellationToken">Cancels the write while it waits to be sent.</param>
    /// <returns>The outcome, once the engine keeps the write.</returns>
    /// <exception cref="KvPersistenceException">The write failed; the message says whether that is certain.</exception>
    ValueTask<KvEngineOutcome> CommitAsync(in KvEngineWrite write, CancellationToken cancellationToken = default);

    /// <summary>Completes when everything that was committed anywhere before the call has been passed to the host.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>
    /// A revision between those of the writes that were passed to <see cref="CommitAsync"/> before this call and those of the writes that
    /// are passed after it. The task fails when the engine cannot be reached.
    /// </returns>
    ValueTask<long> RefreshAsync(CancellationToken cancellationToken = default);
}
