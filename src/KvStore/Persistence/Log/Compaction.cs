using System.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Rewrites what is live, so that what is dead goes: a snapshot that stands for all finished logs.
/// </summary>
/// <remarks>
/// <para>The steps, each of which may be the last one: (1) the log is finished and a new one begun; (2) the host shows its live
/// entries, among them everything up to the last revision of the finished logs, and they are written to a temporary file;
/// (3) it is flushed, and then the log, since the host may have shown entries that the log has not on the disk yet: the
/// snapshot must not know more than a prefix of the log; (4) it gets its name, and the manifest lists it in place of what it stands for;
/// (5) that is removed. Before step 4 recovery sees the old snapshot and all logs, after it the new one and the logs that
/// follow it.</para>
/// <para>Entries that are newer than step 1 may be in the snapshot, and also in the log after it; the revision decides, so
/// that does no harm. Deletes are not in it: nothing older than it remains that they would have to hide.</para>
/// <para>One compaction at a time, on any thread. It holds no lock that a reader or a writer needs.</para>
/// </remarks>
internal sealed class Compaction(
    IStorage storage, OpenManifest manifest, IKvPersistenceHost host, GroupCommit log, SpareLog spare, DiskUse diskUse, int logFileBytes)
{
    // What a log keeps for the last manifest, which differs.
    private const int SpareSlackBytes = 64 * 1024;

    /// <summary>Writes a snapshot and removes what it stands for.</summary>
    /// <param name="keepsSpare">Whether a log file may be kept to become the next one.</param>
    /// <param name="cancellationToken">Ends it before step 4.</param>
    /// <exception cref="KvPersistenceException">The log failed.</exception>
    /// <exception cref="IOException">The snapshot could not be written. Nothing has changed.</exception>
    public async Task RunAsync(bool keepsSpare, CancellationToken cancellationToken)
    {
        if (!keepsSpare)
        {
            spare.Drop();
        }

        var number = await log.RollAsync().ConfigureAwait(false);
        if (number == 0)
        {
            // Nothing was ever written.
            return;
        }

        using var snapshot = await WriteAsync(
            storage, manifest.Directory, number, host, log.HighestRevision, log.FlushAsync, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            Publish(snapshot, number);
        }
        catch (FlushFailedException e)
        {
            // Which of the two manifests is on the disk is not known; both lead to the same state, as long as nothing is removed.
            var failure = new KvPersistenceException(
                $"Naming a snapshot failed: {e.Message.TrimEnd('.')}. Nothing more is written until the namespace is opened again.", e);
            log.Fail(failure);
            throw failure;
        }

        diskUse.SetSnapshot(number, snapshot.Length);
        Remove(storage, number, keepsSpare ? spare : null, logFileBytes);
    }

    /// <summary>
    /// After a failure of the log: writes a snapshot of what was acknowledged, which stands for all logs, since they may lack
    /// some of it. Nothing is taken meanwhile.
    /// </summary>
    /// <param name="number">The number of the last log, which is finished.</param>
    /// <param name="cancellationToken">Ends it before it has its name.</param>
    public async ValueTask RunAfterFailureAsync(long number, CancellationToken cancellationToken)
    {
        using var snapshot = await WriteAsync(
            storage, manifest.Directory, number, host, log.HighestRevision, static () => default, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        Publish(snapshot, number);
        diskUse.SetSnapshot(number, snapshot.Length);
        Remove(storage, number, spare: null, logFileBytes);
    }

    private void Publish(SnapshotWriter snapshot, long number)
    {
        Debug.Assert(manifest.Current.SnapshotNumber < number, "What is listed is not replaced: the manifest would describe another file.");
        if (storage.Exists(FileNames.Snapshot(number)))
        {
            // An attempt before this one failed; the manifest on the disk may have got as far as to list what it left.
            manifest.Write();
        }

        snapshot.Publish();
        manifest.Compacted(snapshot.Listed);
    }

    /// <summary>Writes a snapshot that stands for all logs up to a number, on the disk but without its name.</summary>
    /// <param name="target">Where.</param>
    /// <param name="directory">The identity of the directory.</param>
    /// <param name="number">The number.</param>
    /// <param name="host">What shows its live entries.</param>
    /// <param name="highestRevision">The highest revision that was taken when the log of that number was finished, or later.</param>
    /// <param name="flush">Puts on the disk what the host may have shown.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<SnapshotWriter> WriteAsync(
        IStorage target, Guid directory, long number, IKvPersistenceHost host, long highestRevision, Func<ValueTask> flush, CancellationToken cancellationToken)
    {
        var snapshot = new SnapshotWriter(target, number, directory, host.TimeProvider.GetUtcNow());
        try
        {
            await host.WriteLiveAsync(highestRevision, snapshot.Add, cancellationToken).ConfigureAwait(false);
            snapshot.Finish(highestRevision);
            await flush().ConfigureAwait(false);
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
    /// <param name="spare">Takes a log file of about the usual length; null to keep none.</param>
    /// <param name="logFileBytes">The usual length of a log file.</param>
    public static void Remove(IStorage storage, long number, SpareLog? spare, int logFileBytes)
    {
        foreach (var entry in storage.List())
        {
            if (!FileNames.TryParse(entry.Name, out var kind, out var its))
            {
                continue;
            }

            if (kind == FileKind.Log && its <= number)
            {
                var isUsual = entry.Length >= logFileBytes / 2 && entry.Length <= logFileBytes + LogSpace.ReserveBytes(logFileBytes) + SpareSlackBytes;
                if (!isUsual || spare?.TryOffer(entry.Name) != true)
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
        Flushing.FlushDirectory(storage);
        spare?.Commit();
    }
}
