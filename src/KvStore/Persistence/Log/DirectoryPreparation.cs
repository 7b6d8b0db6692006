using KvStore.Persistence.Storage;
using Microsoft.Extensions.Logging;

namespace KvStore.Persistence.Log;

/// <summary>
/// Makes a recovered directory ready to be written: what a crash left half done is finished or removed, and what was
/// recovered from the memory of the operating system is put on the disk.
/// </summary>
internal static class DirectoryPreparation
{
    /// <summary>Prepares the directory.</summary>
    /// <returns>The number of the next log.</returns>
    public static long Run(IStorage storage, RecoveredFiles recovered, DiskUse diskUse, ValueFiles values, ILogger logger)
    {
        if (recovered.Recovery.TornTail is { } torn)
        {
            PersistenceEvents.TornTailDropped(logger, torn.File, torn.Offset);
        }

        foreach (var log in recovered.Logs)
        {
            diskUse.AddLog(log.Number, log.End + LogFormat.EndBytes);
        }

        if (recovered.Logs.Count > 0)
        {
            FinishLast(storage, recovered.Logs[^1], recovered.Recovery.HighestRevision);
        }

        if (recovered.SnapshotNumber > 0)
        {
            var name = FileNames.Snapshot(recovered.SnapshotNumber);
            diskUse.SetSnapshot(recovered.SnapshotNumber, recovered.Entries.First(entry => entry.Name == name).Length);
        }

        // Before anything goes, the names of what stands for it must be on the disk.
        storage.FlushDirectory();
        var live = recovered.LiveReferences.Select(reference => reference.Id).ToHashSet();
        foreach (var entry in recovered.Entries)
        {
            var isValue = FileNames.TryParse(entry.Name, out var kind, out var number) && kind == FileKind.Value;
            if (FileNames.IsTemporary(entry.Name))
            {
                storage.Delete(entry.Name);
            }
            else if (isValue && !live.Contains(number))
            {
                values.Delete(number);
            }
        }

        Compaction.Remove(storage, recovered.SnapshotNumber, spare: null, logFileBytes: 0);
        return recovered.Logs.Count > 0 ? recovered.Logs[^1].Number + 1 : recovered.SnapshotNumber + 1;
    }

    /// <summary>
    /// Ends the last log where recovery ended it, so that nothing behind it can ever be taken for a record of this log.
    /// </summary>
    private static void FinishLast(IStorage storage, LogScan log, long highestRevision)
    {
        using var file = storage.Open(log.Name, isWritable: true);
        if (!log.IsFinished)
        {
            Span<byte> end = stackalloc byte[LogFormat.EndBytes];
            LogRecord.LayEnd(end, new FileEnd(highestRevision, log.Records, log.PayloadBytes));

            // What it says of the records before it becomes true before it is written.
            file.Flush();
            LogRecord.Seal(end, log.Header.Seed, (uint)log.End);
            file.Write(end, log.End);
        }

        // Also behind an end that a killed process left: it had written zeros, or parts of a record, behind it.
        if (file.Length != log.End + LogFormat.EndBytes)
        {
            file.SetLength(log.End + LogFormat.EndBytes);
        }

        file.Flush();
    }
}
