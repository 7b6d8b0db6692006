using System.Collections.Immutable;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Makes a recovered directory ready to be written: what a crash left half done is finished or removed, and what was
/// recovered from the memory of the operating system is put on the disk.
/// </summary>
internal static class DirectoryPreparation
{
    /// <summary>Puts what was recovered on the disk.</summary>
    /// <returns>
    /// The manifest. It is on the disk, if not as it is then as it was; it goes there with the first log that is begun.
    /// </returns>
    public static OpenManifest Run(IStorage storage, RecoveredFiles recovered, DiskUse diskUse, TimeProvider time)
    {
        var inventory = recovered.Inventory;
        var manifest = inventory.Manifest ?? Manifest.New(Guid.NewGuid());
        var files = ImmutableArray.CreateBuilder<ListedFile>();
        if (inventory.Snapshot is { } snapshot)
        {
            files.Add(snapshot.IsFinished ? snapshot : Listed(SnapshotIndex.Read(storage, snapshot.Number), snapshot));
            inventory.TryGetLength(snapshot.Name, out var length);
            diskUse.SetSnapshot(snapshot.Number, length);
        }

        foreach (var log in recovered.Logs)
        {
            diskUse.AddLog(log.Number, log.End + LogFormat.EndBytes);
            var endChecksum = log == recovered.Logs[^1] ? FinishLast(storage, log, recovered.Recovery.HighestRevision) : log.EndChecksum;
            files.Add(new ListedFile(FileKind.Log, log.Number, log.Header.Check, log.End, endChecksum));
        }

        // Before anything is listed or goes, the names of what stands for it must be on the disk.
        storage.FlushDirectory();
        var open = new OpenManifest(
            storage,
            manifest with
            {
                State = ManifestState.Open,
                Files = files.ToImmutable(),
                ValueIdLimit = Math.Max(manifest.ValueIdLimit, recovered.HighestValueId),
                LatestSeconds = Math.Max(manifest.LatestSeconds, recovered.LatestSeconds),
            },
            time);
        if (inventory.Manifest is null || inventory.Logs.Count != inventory.Manifest.Logs.Length)
        {
            // No file says that it belongs to this directory before the directory says who it is; and of the logs, one at most is
            // there and not listed.
            open.Write();
        }

        return open;
    }

    /// <summary>Removes what is left over. Requires: the manifest on the disk does not list it.</summary>
    public static void RemoveLeftovers(IStorage storage, RecoveredFiles recovered, ValueFiles values)
    {
        foreach (var name in recovered.Inventory.Leftovers)
        {
            if (storage.Exists(name))
            {
                storage.Delete(name);
            }
        }

        foreach (var number in recovered.DeadValues)
        {
            values.Delete(number);
        }

        storage.FlushDirectory();
    }

    private static ListedFile Listed(SnapshotIndex index, in ListedFile snapshot) =>
        snapshot with { Check = index.Header.Check, EndOffset = index.EndOffset, EndChecksum = index.EndChecksum };

    /// <summary>
    /// Ends the last log where recovery ended it, so that nothing behind it can ever be taken for a record of this log.
    /// </summary>
    /// <returns>The checksum of the end record.</returns>
    private static uint FinishLast(IStorage storage, LogScan log, long highestRevision)
    {
        using var file = storage.Open(log.Name, isWritable: true);
        var checksum = log.EndChecksum;
        if (!log.IsFinished)
        {
            Span<byte> end = stackalloc byte[LogFormat.EndBytes];
            LogRecord.LayEnd(end, new FileEnd(highestRevision, log.Records, log.PayloadBytes));

            // What it says of the records before it becomes true before it is written.
            file.Flush();
            LogRecord.Seal(end, log.Header.Seed, (uint)log.End);
            checksum = LogRecord.ChecksumOf(end);
            file.Write(end, log.End);
        }

        // A killed process may have written zeros, or parts of a record, behind the end, and have reserved space there without a length.
        file.SetLength(log.End + LogFormat.EndBytes);
        file.Flush();
        return checksum;
    }
}
