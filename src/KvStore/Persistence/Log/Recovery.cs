using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using KvStore.Memory;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Rebuilds the state on opening: the newest snapshot and the logs after it. Changes nothing on the disk.
/// </summary>
/// <remarks>
/// Two passes. The first reads every log once, each on a core of its own, and finds out where it ends; then it is known
/// how much will come, and that all of it counts. The second hands it out, all cores taking chunks of about a megabyte; since
/// the highest revision of a key wins, their order does not matter. No string is made, and no object per record. Logs that have
/// touches are read once more in between: an entry that has expired by its own record may have been touched later, so the touches
/// are known before the first entry is handed out, and applied after the last one (<see cref="RecoveredTouches"/>).
/// Only a host with little memory gets the logs in order, so that it need not remember deletes.
/// </remarks>
internal sealed class Recovery(IStorage storage, IKvPersistenceHost host, bool isReadOnly)
{
    private readonly ConcurrentBag<LargeRecord> _large = [];
    private readonly List<KvDamage> _damages = [];
    private readonly DateTimeOffset _now = host.TimeProvider.GetUtcNow();
    private readonly List<Part> _parts = [];
    private readonly RecoveredTouches _touches = new();
    private long _mutations;
    private long _snapshotMutations;
    private long _highestRevision;
    private long _highestValueId;
    private long _latestSeconds;

    /// <summary>Everything that is kept has been handed to the host when it returns.</summary>
    /// <exception cref="KvPersistenceException">It cannot be read. The host may have got a part of it.</exception>
    public RecoveredFiles Run(CancellationToken cancellationToken)
    {
        var entries = storage.List();
        var inventory = DirectoryInventory.Take(storage, entries, Report);
        if (isReadOnly && inventory.IsNew)
        {
            throw new KvPersistenceException(
                $"{storage.PathOf("")} holds no namespace, so there is nothing to read. Open the directory that the namespace was written to.");
        }

        _latestSeconds = inventory.Manifest?.LatestSeconds ?? 0;
        var logs = ScanLogs(inventory, cancellationToken);
        var records = 0L;
        var payloadBytes = 0L;
        SnapshotIndex? snapshot = null;
        if (inventory.Snapshot is { } listed)
        {
            if (isReadOnly)
            {
                var scan = LogScan.Run(storage, FileKind.Snapshot, listed.Number, isLast: false, resumes: true);
                Report(scan.Damages);
                CheckEnd(listed, scan);
                Add(scan);
            }
            else
            {
                snapshot = SnapshotIndex.Read(storage, listed.Number);
                if (listed.IsFinished && (snapshot.EndOffset != listed.EndOffset || snapshot.EndChecksum != listed.EndChecksum))
                {
                    ReportOtherEnd(listed, snapshot.EndOffset);
                }

                _parts.AddRange(snapshot.Chunks.Select(
                    chunk => new Part(listed.Name, snapshot.Header.Seed, chunk.Start, chunk.End, IsOfSnapshot: true)));
                records += snapshot.End.Records;
                payloadBytes += snapshot.End.PayloadBytes;
                _highestRevision = snapshot.End.HighestRevision;
            }
        }

        foreach (var log in logs)
        {
            Add(log);
        }

        host.Prepare(records, payloadBytes);
        WithFiles(_parts.Where(part => part.HasTouches), CollectTouches, cancellationToken);
        HandOut(cancellationToken);
        ApplyTouches();
        if (snapshot is not null && snapshot.End.Records != _snapshotMutations)
        {
            Report(new KvDamage(
                storage.PathOf(inventory.Snapshot!.Value.Name), snapshot.EndOffset,
                Invariant($"the end record counts {snapshot.End.Records} records, but there are {_snapshotMutations}")));
        }

        var references = FindLiveReferences(inventory, cancellationToken);
        var deadValues = FindDeadValues(inventory, references);
        return new RecoveredFiles
        {
            Recovery = new KvRecovery
            {
                HighestRevision = _highestRevision,
                Mutations = _mutations,
                TornTail = logs.LastOrDefault()?.TornTail,
                Damages = _damages,
            },
            Inventory = inventory,
            Logs = logs,
            LiveReferences = references,
            DeadValues = host.HasEvicted ? [] : deadValues,
            HighestValueId = Math.Max(
                inventory.Manifest?.ValueIdLimit ?? inventory.Numbers(FileKind.Value).DefaultIfEmpty().Max(), _highestValueId),

            // The clock may be set back before the manifest is written; what had expired here is removed all the same.
            LatestSeconds = Math.Max(_latestSeconds, Manifest.SecondsOf(_now)),
        };

        void Add(LogScan scan)
        {
            _parts.AddRange(scan.Chunks.Select(chunk => new Part(scan.Name, scan.Header.Seed, chunk.Start, chunk.End, IsOfSnapshot: false, HasTouches: scan.Touches > 0)));
            records += scan.Records;
            payloadBytes += scan.PayloadBytes;
            _highestRevision = Math.Max(_highestRevision, scan.HighestRevision);
        }
    }

    private LogScan[] ScanLogs(DirectoryInventory inventory, CancellationToken cancellationToken)
    {
        var listed = inventory.Logs;
        var logs = new LogScan[listed.Count];
        InParallel(
            listed.Count,
            i => logs[i] = LogScan.Run(
                storage, FileKind.Log, listed[i].Number, isLast: i == listed.Count - 1 && !listed[i].IsFinished, resumes: isReadOnly),
            cancellationToken);
        for (var i = 0; i < logs.Length; i++)
        {
            Report(logs[i].Damages);
            CheckEnd(listed[i], logs[i]);
        }

        return logs;
    }

    /// <summary>A file that was finished ends where the manifest says, with the end record that it had.</summary>
    private void CheckEnd(in ListedFile listed, LogScan scan)
    {
        if (listed.IsFinished && scan.Damages.Count == 0
            && !(scan.IsFinished && scan.End == listed.EndOffset && scan.EndChecksum == listed.EndChecksum))
        {
            ReportOtherEnd(listed, scan.End);
        }
    }

    private void ReportOtherEnd(in ListedFile listed, long end) =>
        Report(new KvDamage(
            storage.PathOf(listed.Name), Math.Min(end, listed.EndOffset),
            Invariant($"the file does not end as the manifest says, at byte {listed.EndOffset}: it is older than the manifest, or was cut off")));

    private void HandOut(CancellationToken cancellationToken)
    {
        if (!host.NeedsOrder)
        {
            WithFiles(_parts, HandOut, cancellationToken);
            return;
        }

        // The order of a log is that of the revisions, and each key is in a snapshot once.
        WithFiles(_parts.Where(static part => part.IsOfSnapshot), HandOut, cancellationToken);
        host.RecoverInOrder();
        WithFiles(_parts.Where(static part => !part.IsOfSnapshot), HandOut, cancellationToken, isInOrder: true);
    }

    private void WithFiles(IEnumerable<Part> parts, Action<IStorageFile, Part> read, CancellationToken cancellationToken, bool isInOrder = false)
    {
        var files = new Dictionary<string, IStorageFile>();
        try
        {
            Part[] all = [.. parts];
            foreach (var part in all)
            {
                if (!files.ContainsKey(part.Name))
                {
                    files.Add(part.Name, storage.Open(part.Name, isWritable: false));
                }
            }

            if (!isInOrder)
            {
                InParallel(all.Length, i => read(files[all[i].Name], all[i]), cancellationToken);
                return;
            }

            foreach (var part in all)
            {
                cancellationToken.ThrowIfCancellationRequested();
                read(files[part.Name], part);
            }
        }
        finally
        {
            foreach (var file in files.Values)
            {
                file.Dispose();
            }
        }
    }

    private void CollectTouches(IStorageFile file, Part part)
    {
        using var reader = new LogReader(file, part.Seed, part.Start, part.End);
        while (reader.NextOffset < part.End)
        {
            // Other records are verified when they are handed out.
            if (!reader.TryRead(out var record, verifies: false)
                || (record.Kind == RecordKind.Touch && LogRecord.TryRead(reader.Bytes.Span, part.Seed, out record) != RecordOutcome.Whole))
            {
                throw new KvDamagedFileException(storage.PathOf(part.Name), reader.Offset, "the checksum of the record is wrong");
            }

            if (record.Kind == RecordKind.Touch)
            {
                _touches.Add(record);
            }
        }
    }

    private void ApplyTouches()
    {
        foreach (var touch in _touches.All)
        {
            if (touch.Deadline.HasPassedAt(_now))
            {
                host.Recover(new KvMutation { Key = touch.Key, Revision = touch.Revision, IsDelete = true });
            }
            else
            {
                host.RecoverTouch(touch);
            }
        }
    }

    private void HandOut(IStorageFile file, Part part)
    {
        using var reader = new LogReader(file, part.Seed, part.Start, part.End);
        var count = 0L;
        var highestRevision = 0L;
        var highestValueId = 0L;
        while (reader.NextOffset < part.End)
        {
            if (!reader.TryRead(out var record) || record.Kind is RecordKind.End or RecordKind.Index)
            {
                // Logs were verified before; this is a snapshot, or a file that changes while it is read.
                throw new KvDamagedFileException(storage.PathOf(part.Name), reader.Offset, "the checksum of the record is wrong");
            }

            count++;
            highestRevision = Math.Max(highestRevision, record.Revision);
            if (record.Kind == RecordKind.Touch)
            {
                continue;
            }

            var mutation = record.ToMutation(reader.Bytes);
            highestValueId = Math.Max(highestValueId, mutation.LargeValue.Id);
            if (mutation.Deadline.HasPassedAt(_now) && record.Kind == RecordKind.Put
                && _touches.TryFind(record.Key, record.Revision, out var touched) && !touched.Value.HasPassedAt(_now))
            {
                mutation = mutation with { DeadlineSeconds = touched.Value.Seconds, DeadlineRounding = touched.Value.Rounding };
            }

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
        }

        Interlocked.Add(ref _mutations, count);
        if (part.IsOfSnapshot)
        {
            Interlocked.Add(ref _snapshotMutations, count);
        }

        RaiseTo(ref _highestRevision, highestRevision);
        RaiseTo(ref _highestValueId, highestValueId);
    }

    private static void RaiseTo(ref long highest, long value)
    {
        var present = Volatile.Read(ref highest);
        while (present < value && Interlocked.CompareExchange(ref highest, value, present) is var found && found != present)
        {
            present = found;
        }
    }

    /// <summary>The references that the recovered state still has, each to a file that is there and was made for it.</summary>
    private List<KvValueReference> FindLiveReferences(DirectoryInventory inventory, CancellationToken cancellationToken)
    {
        var live = new List<KvValueReference>();
        foreach (var large in _large.Where(large => host.IsCurrent(large.Key, large.Revision)).ToArray())
        {
            var name = FileNames.Value(large.Reference.Id);
            if (!inventory.TryGetLength(name, out var length))
            {
                AcceptMissing(large, inventory.Manifest);
                continue;
            }

            if (length != LogFormat.ValueFileBytes(large.Reference))
            {
                Report(new KvDamage(
                    storage.PathOf(name),
                    Math.Min(length, LogFormat.ValueFileBytes(large.Reference)),
                    Invariant($"the file should be {LogFormat.ValueFileBytes(large.Reference)} bytes long, not {length}")));
            }

            live.Add(large.Reference);
        }

        var damages = new ConcurrentQueue<KvDamage>();
        InParallel(live.Count, i => CheckValue(inventory, live[i], damages), cancellationToken);
        Report([.. damages.OrderBy(damage => damage.File, StringComparer.Ordinal)]);
        return live;
    }

    private static void CheckValue(DirectoryInventory inventory, KvValueReference reference, ConcurrentQueue<KvDamage> damages)
    {
        try
        {
            inventory.ReadValueHeader(reference);
        }
        catch (KvDamagedFileException e)
        {
            damages.Enqueue(new KvDamage(e.File, e.Offset, e.Reason));
        }
    }

    /// <summary>
    /// A large value whose file is not there. It may have expired and been removed, and the clock was set back since; then it is
    /// gone, for reading and listing alike. Anything else is a loss.
    /// </summary>
    private void AcceptMissing(LargeRecord large, Manifest? manifest)
    {
        // After a crash the time of the last removal is not known.
        var mayBeOver = large.DeadlineSeconds != 0
            && (manifest is not { State: ManifestState.Closed } || large.DeadlineSeconds <= manifest.LatestSeconds);
        if (!mayBeOver)
        {
            Report(new KvDamage(storage.PathOf(FileNames.Value(large.Reference.Id)), 0, "the file with a large value is missing"));
        }

        _latestSeconds = Math.Max(_latestSeconds, large.DeadlineSeconds);

        // No other mutation of this key has this revision: the highest one is the one that is taken back.
        host.Recover(new KvMutation { Key = large.Key, Revision = large.Revision + 1, IsDelete = true });
        _highestRevision = Math.Max(_highestRevision, large.Revision + 1);
    }

    /// <summary>The value files that nothing refers to.</summary>
    private List<long> FindDeadValues(DirectoryInventory inventory, List<KvValueReference> references)
    {
        var live = references.Select(reference => reference.Id).ToHashSet();
        var dead = new List<long>();
        foreach (var number in inventory.Numbers(FileKind.Value).Where(number => !live.Contains(number)))
        {
            if (inventory.IsOwnValue(number, out var damage))
            {
                dead.Add(number);
            }
            else
            {
                Report(damage);
            }
        }

        return dead;
    }

    private void Report(KvDamage damage) => Report([damage]);

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

    private readonly record struct Part(string Name, uint Seed, long Start, long End, bool IsOfSnapshot, bool HasTouches = false);

    private sealed record LargeRecord(byte[] Key, long Revision, uint DeadlineSeconds, KvValueReference Reference);
}

/// <summary>What recovery found in the directory.</summary>
internal sealed class RecoveredFiles
{
    public required KvRecovery Recovery { get; init; }

    /// <summary>The files that there were, and what they are.</summary>
    public required DirectoryInventory Inventory { get; init; }

    /// <summary>The logs after the snapshot, in order.</summary>
    public required IReadOnlyList<LogScan> Logs { get; init; }

    /// <summary>The large values that the state refers to.</summary>
    public required IReadOnlyList<KvValueReference> LiveReferences { get; init; }

    /// <summary>The value files that nothing refers to.</summary>
    public required IReadOnlyList<long> DeadValues { get; init; }

    /// <summary>No large value ever had a higher number.</summary>
    public required long HighestValueId { get; init; }

    /// <summary>The latest time that is known of, see <see cref="Manifest.LatestSeconds"/>.</summary>
    public required long LatestSeconds { get; init; }
}
