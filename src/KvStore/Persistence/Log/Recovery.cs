using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Rebuilds the state on opening: the newest snapshot and the logs after it. Changes nothing on the disk.
/// </summary>
/// <remarks>
/// Two passes. The first reads every log once, each on a core of its own, and finds out where it ends; then it is known
/// how much will come, and that all of it counts. The second hands it out, all cores taking chunks of about a megabyte; since
/// the highest revision of a key wins, their order does not matter. No string is made, and no object per record.
/// </remarks>
internal sealed class Recovery(IStorage storage, IKvPersistenceHost host, bool isReadOnly)
{
    private readonly ConcurrentBag<LargeRecord> _large = [];
    private readonly List<KvDamage> _damages = [];
    private readonly DateTimeOffset _now = host.TimeProvider.GetUtcNow();
    private long _mutations;

    /// <summary>Everything that is kept has been handed to the host when it returns.</summary>
    /// <exception cref="KvPersistenceException">It cannot be read. The host may have got a part of it.</exception>
    public RecoveredFiles Run(CancellationToken cancellationToken)
    {
        var entries = storage.List();
        var snapshotNumber = Numbers(entries, FileKind.Snapshot).DefaultIfEmpty().Max();
        var logNumbers = Numbers(entries, FileKind.Log).Where(number => number > snapshotNumber).Order().ToArray();
        CheckNumbers(entries, snapshotNumber, logNumbers);

        var logs = new LogScan[logNumbers.Length];
        InParallel(logNumbers.Length, i => logs[i] = LogScan.Run(
            storage, FileKind.Log, logNumbers[i], isLast: i == logNumbers.Length - 1, resumes: isReadOnly), cancellationToken);
        foreach (var log in logs)
        {
            Report(log.Damages);
        }

        var parts = new List<Part>();
        var records = 0L;
        var payloadBytes = 0L;
        var highestRevision = 0L;
        if (snapshotNumber > 0)
        {
            AddSnapshot(snapshotNumber);
        }

        foreach (var log in logs)
        {
            parts.AddRange(log.Chunks.Select(chunk => new Part(log.Name, log.Header.Seed, chunk.Start, chunk.End)));
            records += log.Records;
            payloadBytes += log.PayloadBytes;
            highestRevision = Math.Max(highestRevision, log.HighestRevision);
        }

        host.Prepare(records, payloadBytes);
        HandOut(parts, cancellationToken);
        var references = FindLiveReferences(entries);
        return new RecoveredFiles
        {
            Recovery = new KvRecovery
            {
                HighestRevision = highestRevision,
                Mutations = _mutations,
                TornTail = logs.LastOrDefault()?.TornTail,
                Damages = _damages,
            },
            Entries = entries,
            SnapshotNumber = snapshotNumber,
            Logs = logs,
            LiveReferences = references,
            HighestValueId = Numbers(entries, FileKind.Value).Concat(_large.Select(large => large.Reference.Id)).DefaultIfEmpty().Max(),
        };

        void AddSnapshot(long number)
        {
            if (isReadOnly)
            {
                var scan = LogScan.Run(storage, FileKind.Snapshot, number, isLast: false, resumes: true);
                Report(scan.Damages);
                parts.AddRange(scan.Chunks.Select(chunk => new Part(scan.Name, scan.Header.Seed, chunk.Start, chunk.End)));
                records += scan.Records;
                payloadBytes += scan.PayloadBytes;
                highestRevision = scan.HighestRevision;
            }
            else
            {
                var index = SnapshotIndex.Read(storage, number);
                parts.AddRange(index.Chunks.Select(
                    chunk => new Part(FileNames.Snapshot(number), index.Header.Seed, chunk.Start, chunk.End)));
                records += index.End.Records;
                payloadBytes += index.End.PayloadBytes;
                highestRevision = index.End.HighestRevision;
            }
        }
    }

    private static IEnumerable<long> Numbers(IReadOnlyList<StorageEntry> entries, FileKind kind)
    {
        foreach (var entry in entries)
        {
            if (FileNames.TryParse(entry.Name, out var itsKind, out var number) && itsKind == kind)
            {
                yield return number;
            }
        }
    }

    /// <summary>Logs follow the snapshot, and each other, without a gap; without a snapshot the first is number 1.</summary>
    private void CheckNumbers(IReadOnlyList<StorageEntry> entries, long snapshotNumber, long[] logNumbers)
    {
        var expected = snapshotNumber + 1;
        foreach (var number in logNumbers)
        {
            if (number != expected)
            {
                Report([new KvDamage(storage.PathOf(FileNames.Log(expected)), 0, "the file is missing")]);
            }

            expected = number + 1;
        }

        if (snapshotNumber == 0 && logNumbers.Length == 0 && Numbers(entries, FileKind.Value).Any())
        {
            Report([new KvDamage(storage.PathOf(FileNames.Log(1)), 0, "the file is missing, and there is no snapshot, but there are large values")]);
        }
    }

    private void HandOut(List<Part> parts, CancellationToken cancellationToken)
    {
        var files = parts.Select(part => part.Name).Distinct().ToDictionary(name => name, name => storage.Open(name, isWritable: false));
        try
        {
            InParallel(parts.Count, i => HandOut(files[parts[i].Name], parts[i]), cancellationToken);
        }
        finally
        {
            foreach (var file in files.Values)
            {
                file.Dispose();
            }
        }
    }

    private void HandOut(IStorageFile file, in Part part)
    {
        using var reader = new LogReader(file, part.Seed, part.Start, part.End);
        var count = 0L;
        while (reader.NextOffset < part.End)
        {
            if (!reader.TryRead(out var record))
            {
                // Logs were verified before; this is a snapshot, or a file that changes while it is read.
                throw new KvDamagedFileException(storage.PathOf(part.Name), reader.Offset, "the checksum of the record is wrong");
            }

            var mutation = record.ToMutation(reader.Bytes);
            if (mutation.Deadline.HasPassedAt(_now))
            {
                // It is gone, but it also hides what was there before it.
                mutation = new KvMutation { Key = mutation.Key, Revision = mutation.Revision, IsDelete = true };
            }
            else if (!mutation.LargeValue.IsNone)
            {
                _large.Add(new LargeRecord(mutation.Key.ToArray(), mutation.Revision, mutation.DeadlineSeconds, mutation.LargeValue));
            }

            host.Recover(mutation);
            count++;
        }

        Interlocked.Add(ref _mutations, count);
    }

    /// <summary>The references that the recovered state still has, each to a file that is there.</summary>
    private List<KvValueReference> FindLiveReferences(IReadOnlyList<StorageEntry> entries)
    {
        var live = new List<KvValueReference>();
        if (_large.IsEmpty)
        {
            return live;
        }

        var lengths = entries.ToDictionary(entry => entry.Name, entry => entry.Length);
        foreach (var large in _large.Where(large => host.IsCurrent(large.Key, large.Revision)))
        {
            var name = FileNames.Value(large.Reference.Id);
            if (!lengths.TryGetValue(name, out var length))
            {
                // With a deadline: it had expired, its file was removed, and the clock was set back since.
                if (large.DeadlineSeconds == 0)
                {
                    Report([new KvDamage(storage.PathOf(name), 0, "the file with a large value is missing")]);
                }

                continue;
            }

            if (length != LogFormat.ValueFileBytes(large.Reference.Length))
            {
                Report([new KvDamage(
                    storage.PathOf(name),
                    Math.Min(length, LogFormat.ValueFileBytes(large.Reference.Length)),
                    Invariant($"the file should be {LogFormat.ValueFileBytes(large.Reference.Length)} bytes long, not {length}"))]);
            }

            live.Add(large.Reference);
        }

        return live;
    }

    private void Report(List<KvDamage> damages)
    {
        if (damages.Count > 0 && !isReadOnly)
        {
            throw new KvDamagedFileException(damages[0].File, damages[0].Offset, damages[0].Reason);
        }

        _damages.AddRange(damages);
    }

    private static void InParallel(int count, Action<int> action, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        try
        {
            Parallel.For(0, count, options, action);
        }
        catch (AggregateException e)
        {
            // The first failure says enough, as itself.
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }

    private readonly record struct Part(string Name, uint Seed, long Start, long End);

    private sealed record LargeRecord(byte[] Key, long Revision, uint DeadlineSeconds, KvValueReference Reference);
}

/// <summary>What recovery found in the directory.</summary>
internal sealed class RecoveredFiles
{
    public required KvRecovery Recovery { get; init; }

    /// <summary>All files that there were.</summary>
    public required IReadOnlyList<StorageEntry> Entries { get; init; }

    /// <summary>The newest snapshot; 0 when there is none.</summary>
    public required long SnapshotNumber { get; init; }

    /// <summary>The logs after it, in order.</summary>
    public required IReadOnlyList<LogScan> Logs { get; init; }

    /// <summary>The large values that the state refers to.</summary>
    public required IReadOnlyList<KvValueReference> LiveReferences { get; init; }

    /// <summary>The highest number that any large value had.</summary>
    public required long HighestValueId { get; init; }
}
