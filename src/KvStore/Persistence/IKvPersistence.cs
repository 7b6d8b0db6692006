namespace KvStore;

/// <summary>
/// Makes the mutations of a namespace durable. A provider receives puts, deletes and touches, not bytes on a disk, so that a log of files,
/// SQLite or PostgreSQL can implement it.
/// </summary>
/// <remarks>
/// <para>A provider serves one namespace at a time: <see cref="OpenAsync"/>, then everything else, then
/// <see cref="IAsyncDisposable.DisposeAsync"/>, which flushes. A provider that was disposed can be opened again.</para>
/// <para>Thread safety: once the provider is open, all members may be called from any thread. The order of mutations is the order of
/// the calls of <see cref="AppendAsync"/>; a caller that needs an order makes those calls one after the other.</para>
/// </remarks>
public interface IKvPersistence : IAsyncDisposable
{
    /// <summary>Whether mutations are taken, and if not, why.</summary>
    KvPersistenceHealth Health { get; }

    /// <summary>Keeps large values outside memory; null when the provider does not, or when it is not open.</summary>
    IKvLargeValues? LargeValues { get; }

    /// <summary>Passes everything that is kept to the host, and takes mutations afterwards.</summary>
    /// <param name="host">The state that is made durable. Its members are called until the provider is disposed.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>What was recovered.</returns>
    /// <exception cref="KvPersistenceException">It cannot be opened: another process holds it, it is damaged, or its format is unknown.</exception>
    /// <exception cref="InvalidOperationException">It is open already.</exception>
    ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default);

    /// <summary>
    /// Takes a mutation. The order of mutations is fixed when this method returns. The task completes when the mutation is as durable
    /// as the provider was configured to make it, which may be at once.
    /// </summary>
    /// <param name="mutation">The mutation, whose memory stays valid and unchanged until the task has completed.</param>
    /// <param name="cancellationToken">Checked before anything happens; a mutation that was taken cannot be cancelled.</param>
    /// <returns>
    /// A task that fails when the mutation could not be made durable. The mutation is then not shown to readers; whether it is
    /// recovered later is not known.
    /// </returns>
    ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default);

    /// <summary>
    /// Announces that the caller appends many mutations now, and waits for them afterwards. A provider that waits for a disk may put off
    /// writing until all groups have ended, so that one flush is enough for all of them.
    /// </summary>
    /// <returns>
    /// Ends the group. The caller disposes it once, soon, and whatever happens meanwhile; disposing does not throw and does not wait.
    /// Null when there is nothing to put off.
    /// </returns>
    IDisposable? BeginGroup() => null;

    /// <summary>Makes every mutation durable that was taken before the call, whatever the configured durability.</summary>
    /// <param name="cancellationToken">Checked before anything happens.</param>
    /// <returns>A task that fails when that is not possible.</returns>
    ValueTask FlushAsync(CancellationToken cancellationToken = default);

    /// <summary>Rewrites what is kept so that only live entries take up room. Reads and writes go on meanwhile.</summary>
    /// <param name="cancellationToken">Abandons the attempt; nothing is lost by it.</param>
    /// <returns>A task that completes when the room is free.</returns>
    ValueTask CompactAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Writes a copy of the state as it is at one moment during the call: every mutation before that moment, none after it.
    /// Reads and writes go on meanwhile.
    /// </summary>
    /// <param name="directory">A directory that is empty, or does not exist. It can be opened as it is.</param>
    /// <param name="cancellationToken">Abandons the attempt; what was written so far cannot be opened, and may be removed.</param>
    /// <returns>A task that completes when the copy is on the disk.</returns>
    ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default);

    /// <summary>
    /// Takes mutations again after <see cref="Health"/> has become <see cref="KvPersistenceStatus.Failed"/>: everything that
    /// completed is kept, nothing that failed comes back. Does nothing when it has not failed.
    /// </summary>
    /// <param name="cancellationToken">Abandons the attempt; mutations are refused as before.</param>
    /// <returns>A task that completes when mutations are taken again.</returns>
    /// <exception cref="KvPersistenceException">The cause still stands, or what was kept is damaged; mutations are refused as before.</exception>
    /// <exception cref="NotSupportedException">The provider cannot do that; dispose it and open it again.</exception>
    ValueTask ReopenAsync(CancellationToken cancellationToken = default) =>
        Health.Status == KvPersistenceStatus.Failed
            ? throw new NotSupportedException($"{GetType().Name} cannot be opened again while it is in use. Dispose it and open it again.")
            : default;
}
