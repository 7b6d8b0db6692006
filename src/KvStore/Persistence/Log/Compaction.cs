using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Rewrites what is live, so that what is dead goes: a snapshot that stands for all finished logs.
/// </summary>
/// <remarks>
/// <para>The steps, each of which may be the last one: (1) the log is finished and a new one begun; (2) the host shows its live
/// entries, among them everything up to the last revision of the finished logs, and they are written to a temporary file;
/// (3) it is flushed, and then the log, since the host may have shown entries that the log has not on the disk yet: the
/// snapshot must not know more than a prefix of the log; (4) it gets its name, and the directory is flushed; (5) what it
/// stands for is removed. Before step 4 recovery sees the old snapshot and all logs, after it the new one and the logs
/// that follow it.</para>
/// <para>Entries that are newer than step 1 may be in the snapshot, and also in the log after it; the revision decides, so
/// that does no harm. Deletes are not in it: nothing older than it remains that they would have to hide.</para>
/// <para>One at a time, by whoever; it holds no lock that a reader or a writer needs.</para>
/// </remarks>
internal sealed class Compaction(IStorage storage, IKvPersistenceHost host, GroupCommit log, DiskUse diskUse, int logFileBytes)
{
    /// <summary>Writes a snapshot and removes what it stands for.</summary>
    /// <param name="keepsSpare">Whether a log file may be kept to become the next one.</param>
    /// <param name="cancellationToken">Ends it before step 4.</param>
    /// <exception cref="KvPersistenceException">The log failed.</exception>
    /// <exception cref="IOException">The snapshot could not be written. Nothing has changed.</exception>
    public async Task RunAsync(bool keepsSpare, CancellationToken cancellationToken)
    {
        if (!keepsSpare)
        {
            storage.Delete(FileNames.Spare);
        }

        var number = await log.RollAsync().ConfigureAwait(false);
        if (number == 0)
        {
            // Nothing was ever written.
            return;
        }

        using var snapshot = await WriteAsync(storage, number, host, log, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            snapshot.Publish();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Which of the two names is on the disk is not known; both lead to the same state, as long as nothing follows.
            var failure = new KvPersistenceException(
                $"Naming a snapshot failed: {e.Message.TrimEnd('.')}. Nothing more is written until the namespace is opened again.", e);
            log.Fail(failure);
            throw failure;
        }

        diskUse.SetSnapshot(number, snapshot.Length);
        Remove(storage, number, keepsSpare ? logFileBytes : 0);
    }

    /// <summary>Writes a snapshot that stands for all logs up to a number, on the disk but without its name.</summary>
    public static async Task<SnapshotWriter> WriteAsync(
        IStorage target, long number, IKvPersistenceHost host, GroupCommit log, CancellationToken cancellationToken)
    {
        var highestRevision = log.HighestRevision;
        var snapshot = new SnapshotWriter(target, number, host.TimeProvider.GetUtcNow());
        try
        {
            await host.WriteLiveAsync(highestRevision, snapshot.Add, cancellationToken).ConfigureAwait(false);
            snapshot.Finish(highestRevision);
            await log.FlushAsync().ConfigureAwait(false);
            return snapshot;
        }
        catch
        {
            snapshot.Dispose();
            throw;
        }
    }

    /// <summary>Removes everything that a snapshot stands for.</summary>
    /// <param name="storage">Where.</param>
    /// <param name="number">The number of the snapshot.</param>
    /// <param name="spareBytes">A log file of at least half of this length is kept as the spare; 0 to keep none.</param>
    public static void Remove(IStorage storage, long number, int spareBytes)
    {
        var entries = storage.List();
        var hasSpare = spareBytes == 0 || entries.Any(entry => entry.Name == FileNames.Spare);
        foreach (var entry in entries)
        {
            if (!FileNames.TryParse(entry.Name, out var kind, out var its))
            {
                continue;
            }

            if (kind == FileKind.Log && its <= number)
            {
                if (!hasSpare && entry.Length >= spareBytes / 2 && entry.Length <= spareBytes)
                {
                    storage.Rename(entry.Name, FileNames.Spare);
                    hasSpare = true;
                }
                else
                {
                    storage.Delete(entry.Name);
                }
            }
            else if (kind == FileKind.Snapshot && its < number)
            {
                storage.Delete(entry.Name);
            }
        }

        // Before the spare is written to: it must not come back under its old name with a new content.
        storage.FlushDirectory();
    }
}
