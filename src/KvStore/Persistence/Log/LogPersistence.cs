using KvStore.Diagnostics;
using KvStore.Persistence.Storage;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore.Persistence.Log;

/// <summary>
/// An open directory: the log, the snapshots and the large values together, and the decision when to compact.
/// </summary>
/// <remarks>Thread safety: all members, from any thread; what <see cref="IKvPersistence"/> promises.</remarks>
internal sealed class LogPersistence : IAsyncDisposable
{
    // Each opening leaves a log, however short; so many are made into one.
    private const int FinishedLogsMax = 256;

    private readonly IStorage _storage;
    private readonly IDisposable _lock;
    private readonly IKvPersistenceHost _host;
    private readonly FilePersistenceOptions _options;
    private readonly ILogger _logger;
    private readonly ValueFiles _values;
    private readonly DiskUse _diskUse = new();
    private readonly SemaphoreSlim _maintenance = new(1);

    // Never disposed: it has no timer, and a call that comes late may still read it.
    private readonly CancellationTokenSource _stopping = new();
    private readonly GroupCommit? _log;
    private readonly Compaction? _compaction;
    private readonly OpenManifest? _manifest;
    private readonly IntervalTimer? _interval;
    private Task _backgroundCompaction = Task.CompletedTask;
    private long _nextCheckBytes;
    private int _isCompacting;

    // Closed or read-only, whatever else happens.
    private KvPersistenceHealth? _finalHealth;
    private KvPersistenceHealth? _compactionFailure;
    private bool _isDisposed;

    private LogPersistence(
        IStorage storage, IDisposable directoryLock, IKvPersistenceHost host, FilePersistenceOptions options, RecoveredFiles recovered, ILogger logger)
    {
        _storage = storage;
        _lock = directoryLock;
        _host = host;
        _options = options;
        _logger = logger;
        Recovery = recovered.Recovery;
        if (options.ReadOnly)
        {
            _values = new ValueFiles(storage, options.LargeValueBytes, recovered, logger, manifest: null, log: null);
            var damages = recovered.Recovery.Damages;
            _finalHealth = new KvPersistenceHealth(
                KvPersistenceStatus.ReadOnly,
                damages.Count == 0 ? "Opened to be read only." : Invariant($"Opened to be read only; {damages.Count} damaged places are missing, the first in {damages[0].File} at byte {damages[0].Offset}."));
            return;
        }

        // Before any mutation is taken, which will have to be written.
        FlushThreads.Shared.Ensure();
        var manifest = DirectoryPreparation.Run(storage, recovered, _diskUse, host.TimeProvider);
        var spare = new SpareLog(storage, manifest.Directory);
        var writer = LogWriter.Create(
            storage,
            manifest,
            spare,
            manifest.Current.LastNumber + 1,
            new LogShape(options.LogFileBytes, WritesZeros: options.Durability == Durability.Immediate),
            recovered.Recovery.HighestRevision,
            _diskUse.AddLog);
        _manifest = manifest;
        _log = new GroupCommit(writer, options.Durability, host.TimeProvider, FlushThreads.Shared, OnWritten, OnFailed);
        _compaction = new Compaction(storage, manifest, host, _log, spare, _diskUse, options.LogFileBytes);
        _values = new ValueFiles(storage, options.LargeValueBytes, recovered, logger, manifest, _log);
        DirectoryPreparation.RemoveLeftovers(storage, recovered, _values);
        if (options.Durability != Durability.Immediate)
        {
            _interval = new IntervalTimer(_log, host.TimeProvider, options.Interval);
        }
    }

    public KvRecovery Recovery { get; }

    public KvPersistenceHealth Health =>
        Volatile.Read(ref _finalHealth)
        ?? (_log?.Failure is { } failure ? new KvPersistenceHealth(KvPersistenceStatus.Failed, failure.Message, failure)
            : (_log?.LastError ?? _values.LastError) is { } error ? new KvPersistenceHealth(KvPersistenceStatus.Degraded, error.Message, error)
            : Volatile.Read(ref _compactionFailure) ?? (_storage.Weakness is { } weakness ? new KvPersistenceHealth(KvPersistenceStatus.Degraded, weakness) : KvPersistenceHealth.Healthy));

    public IKvLargeValues LargeValues => _values;

    /// <summary>Locks a directory, recovers it and makes it ready to be written. Blocks while the disk works.</summary>
    public static LogPersistence Open(
        IStorage storage, IKvPersistenceHost host, FilePersistenceOptions options, CancellationToken cancellationToken)
    {
        var logger = host.LoggerFactory?.CreateLogger("KvStore.Persistence") ?? NullLogger.Instance;
        IDisposable? directoryLock = null;
        try
        {
            directoryLock = storage.Lock(options.ReadOnly);
            var recovered = new Recovery(storage, host, options.ReadOnly).Run(cancellationToken);
            cancellationToken.ThrowIfCancellationRequested();
            var opened = new LogPersistence(storage, directoryLock, host, options, recovered, logger);
            if (storage.Weakness is { } weakness)
            {
                PersistenceEvents.DirectoryNotFlushed(logger, weakness);
            }

            Report(recovered.Recovery, storage.PathOf(""), logger);
            return opened;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            directoryLock?.Dispose();
            throw new KvPersistenceException($"{storage.PathOf("")} cannot be opened: {e.Message}", e);
        }
        catch
        {
            directoryLock?.Dispose();
            throw;
        }
    }

    private static void Report(KvRecovery recovery, string directory, ILogger logger)
    {
        if (recovery.TornTail is { } torn)
        {
            PersistenceEvents.TornTailDropped(logger, torn.File, torn.Offset);
        }

        foreach (var damage in recovery.Damages)
        {
            PersistenceEvents.DamageSkipped(logger, damage.File, damage.Offset, damage.Reason);
        }

        PersistenceEvents.Recovered(logger, directory, recovery.Mutations, recovery.HighestRevision);
    }

    public ValueTask AppendAsync(in KvMutation mutation)
    {
        if (_log is not { } log)
        {
            return ValueTask.FromException(ReadOnlyRefusal());
        }

        // Armed afterwards: a tick that has come before would not have seen it.
        var append = log.AppendAsync(mutation);
        _interval?.Arm();
        return append;
    }

    // In the relaxed modes no append waits for a flush.
    public IDisposable? BeginGroup() => _options.Durability == Durability.Immediate ? _log?.BeginGroup() : null;

    public ValueTask FlushAsync() => _log is { } log ? log.FlushAsync() : default;

    public async ValueTask CompactAsync(CancellationToken cancellationToken)
    {
        if (_compaction is not { } compaction)
        {
            throw ReadOnlyRefusal();
        }

        await MaintainAsync(token => compaction.RunAsync(keepsSpare: false, token), cancellationToken).ConfigureAwait(false);
        Volatile.Write(ref _compactionFailure, null);
    }

    /// <summary>Takes mutations again after a failure.</summary>
    public async ValueTask ReopenAsync(CancellationToken cancellationToken)
    {
        if (_log is not { } log)
        {
            throw ReadOnlyRefusal();
        }

        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        await _maintenance.WaitAsync(both.Token).ConfigureAwait(false);
        try
        {
            _storage.Reclaim();
            _manifest!.Verify();

            // Not on the thread of the caller: most of it is waiting for the disk.
            var reopening = await OwnThread.RunAsync(() => log.TryReopenAsync(SaveAcknowledgedAsync).AsTask(), both.Token).ConfigureAwait(false);
            if (await reopening.ConfigureAwait(false))
            {
                _values.ResumeRemoval();
                PersistenceEvents.Reopened(_logger, _storage.PathOf(""));
            }
            else if ((log.LastError ?? _values.LastError) is not null)
            {
                // A write failed and the next may succeed: what waits is written now, and what only waits for that is removed.
                await log.FlushAsync().ConfigureAwait(false);
                await _values.MakeSpaceAsync().ConfigureAwait(false);
            }

            _values.ForgetError();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KvPersistenceException($"Opening {_storage.PathOf("")} again failed: {e.Message.TrimEnd('.')}. Writes are refused as before; try again when its cause is gone.", e);
        }
        finally
        {
            _maintenance.Release();
        }

        // With immediate durability the log has everything that was acknowledged; otherwise memory may have more.
        ValueTask SaveAcknowledgedAsync(long lastLog) =>
            _options.Durability == Durability.Immediate ? default : _compaction!.RunAfterFailureAsync(lastLog, both.Token);
    }

    public async ValueTask SnapshotAsync(IStorage target, CancellationToken cancellationToken)
    {
        if (_log is not { } log)
        {
            throw ReadOnlyRefusal();
        }

        if (target.List().Count > 0)
        {
            throw new KvPersistenceException($"{target.PathOf("")} is not empty; a snapshot is written to a directory that is.");
        }

        await MaintainAsync(token => new StoreCopy(_storage, _manifest!, target, _host, log, _values).RunAsync(token), cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        if (_interval is not null)
        {
            await _interval.DisposeAsync().ConfigureAwait(false);
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _backgroundCompaction.ConfigureAwait(false);
        await _maintenance.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_log is { Failure: null } log)
            {
                // On a full disk, the last manifest may need the space.
                await _values.MakeSpaceAsync().ConfigureAwait(false);
                await log.CloseAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await _values.CloseAsync(isFlushed: _log is { Failure: null }).ConfigureAwait(false);
            Volatile.Write(ref _finalHealth, new KvPersistenceHealth(KvPersistenceStatus.Closed));
            if (_log is not null)
            {
                await _log.DisposeAsync().ConfigureAwait(false);
            }

            _lock.Dispose();
        }
    }

    private async Task MaintainAsync(Func<CancellationToken, Task> action, CancellationToken cancellationToken)
    {
        CheckWritable();
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        await _maintenance.WaitAsync(both.Token).ConfigureAwait(false);
        try
        {
            // Not on the thread of the caller: most of it is waiting for the disk.
            var work = await OwnThread.RunAsync(() => action(both.Token), both.Token).ConfigureAwait(false);
            await work.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KvPersistenceException($"{e.Message.TrimEnd('.')}. Nothing is lost, and writes go on.", e);
        }
        finally
        {
            _maintenance.Release();
        }
    }

    /// <summary>Called by the flush loop after each batch.</summary>
    private void OnWritten(long logBytes)
    {
        // Comparing two numbers is all that most batches pay.
        var bytes = _diskUse.FinishedBytes + logBytes;
        if (bytes < Volatile.Read(ref _nextCheckBytes) || _stopping.IsCancellationRequested)
        {
            return;
        }

        Volatile.Write(ref _nextCheckBytes, bytes + (_options.LogFileBytes / 16));
        var live = _host.LiveBytes + (_host.LiveEntries * (LogFormat.RecordHeaderBytes + (LogFormat.Alignment / 2)));
        var isDue = (bytes >= _options.CompactionBytesMin && bytes - live > live * _options.CompactionDeadRatio)
            || _diskUse.FinishedLogs >= FinishedLogsMax;
        if (isDue && Interlocked.Exchange(ref _isCompacting, 1) == 0)
        {
            try
            {
                AllocationProbe.Before();
                _backgroundCompaction = Task.Run(CompactInBackgroundAsync);
            }
            catch (OutOfMemoryException)
            {
                // This is the thread that writes. There is another chance after the next few bytes.
                Volatile.Write(ref _isCompacting, 0);
            }
        }
    }

    private async Task CompactInBackgroundAsync()
    {
        try
        {
            var before = _diskUse.FinishedBytes;
            await MaintainAsync(token => _compaction!.RunAsync(keepsSpare: true, token), CancellationToken.None).ConfigureAwait(false);
            Volatile.Write(ref _nextCheckBytes, 0);
            Volatile.Write(ref _compactionFailure, null);
            PersistenceEvents.Compacted(_logger, _storage.PathOf(""), before, _diskUse.FinishedBytes);
        }
        catch (OperationCanceledException)
        {
            // The directory is being closed.
        }
        catch (Exception e)
        {
            // Not before there is twice as much: a disk that is full would otherwise be filled again and again.
            Volatile.Write(ref _nextCheckBytes, _diskUse.FinishedBytes * 2);
            Volatile.Write(ref _compactionFailure, new KvPersistenceHealth(KvPersistenceStatus.Degraded, $"Compaction failed: {e.Message}", e));
            PersistenceEvents.CompactionFailed(_logger, _storage.PathOf(""), e);
        }
        finally
        {
            Volatile.Write(ref _isCompacting, 0);
        }
    }

    private void OnFailed(KvPersistenceException failure) => PersistenceEvents.Failed(_logger, _storage.PathOf(""), failure);

    private void CheckWritable()
    {
        if (_log is not { } log)
        {
            throw ReadOnlyRefusal();
        }

        if (log.Failure is not null && log.Refusal() is { } refusal)
        {
            throw refusal;
        }
    }

    private KvPersistenceException ReadOnlyRefusal() => LogFailures.ReadOnly(_storage.PathOf(""));
}
