using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvStore.Persistence.Storage;
using Microsoft.Extensions.Logging;

namespace KvStore.Persistence.Log;

/// <summary>The large values of a directory: each a file that is written once, and removed when nothing needs it.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ValueFiles : IKvLargeValues
{
    private readonly IStorage _storage;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<long, ValueFile> _files = new();

    // Null in a directory that is opened to be read only.
    private readonly GroupCommit? _log;
    private readonly ValueFileNumbers? _numbers;
    private readonly ValueFileRemoval? _removal;

    // Guards the names in the directory: the files that are being written, and whether there may be new ones.
    private readonly Lock _nameLock = new();
    private readonly HashSet<long> _begun = [];
    private KvPersistenceException? _lastError;
    private volatile bool _isClosed;

    /// <summary>Opens the large values of a directory.</summary>
    /// <param name="storage">The directory.</param>
    /// <param name="thresholdBytes">The length from which on a value is kept here.</param>
    /// <param name="recovered">What the directory holds.</param>
    /// <param name="logger">Where background work reports.</param>
    /// <param name="manifest">Where numbers are reserved; null when the directory is opened to be read only.</param>
    /// <param name="log">Where the records go that refer to the values; null likewise.</param>
    public ValueFiles(IStorage storage, int thresholdBytes, RecoveredFiles recovered, ILogger logger, OpenManifest? manifest, GroupCommit? log)
    {
        _storage = storage;
        _logger = logger;
        ThresholdBytes = thresholdBytes;
        if (manifest is not null && log is not null)
        {
            _log = log;
            _numbers = new ValueFileNumbers(manifest, recovered.HighestValueId);
            _removal = new ValueFileRemoval(log.FlushAsync);
        }

        foreach (var reference in recovered.LiveReferences)
        {
            _files[reference.Id] = NewFile(reference);
        }
    }

    public int ThresholdBytes { get; }

    /// <summary>What the last large value that was written failed with; null once one has succeeded.</summary>
    public KvPersistenceException? LastError => Volatile.Read(ref _lastError);

    /// <summary>The log can be written again, so the cause of the last error is probably gone.</summary>
    public void ForgetError() => Volatile.Write(ref _lastError, null);

    public KvLargeValueWriter Create()
    {
        if (_log is not { } log || _numbers is not { } numbers)
        {
            throw LogFailures.ReadOnly(_storage.PathOf(""));
        }

        if (log.Failure is not null && log.Refusal() is { } refusal)
        {
            throw refusal;
        }

        return new ValueFileWriter(this, _storage, numbers);
    }

    /// <summary>Flushes the log and removes the files that waited for that, because space is short.</summary>
    public Task MakeSpaceAsync() => _removal?.RemoveNowAsync() ?? Task.CompletedTask;

    public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
    {
        value = _files.TryGetValue(reference.Id, out var file) && file.Reference == reference ? file.TryLease() : null;
        return value is not null;
    }

    public void Release(KvValueReference reference)
    {
        if (_removal is { } removal && _files.TryGetValue(reference.Id, out var file) && file.Reference == reference && file.TryRelease())
        {
            _numbers!.NoteRelease();
            removal.Add(file);
        }
    }

    /// <summary>Removes nothing that is released from now on, until <see cref="ResumeRemoval"/>.</summary>
    public void SuspendRemoval() => _removal?.Suspend();

    public void ResumeRemoval() => _removal?.Resume();

    /// <summary>A lease on each file that is complete.</summary>
    public List<ValueFile.Lease> LeaseAll() => [.. _files.Values.Select(file => file.TryLease()).OfType<ValueFile.Lease>()];

    /// <summary>Removes the files that can be removed and those that are half written, and touches no file later.</summary>
    /// <param name="isFlushed">Whether everything appended is on the disk; otherwise no complete file is removed.</param>
    public async ValueTask CloseAsync(bool isFlushed)
    {
        if (_removal is { } removal)
        {
            await removal.CloseAsync(isFlushed).ConfigureAwait(false);
        }

        lock (_nameLock)
        {
            foreach (var id in _begun.ToArray())
            {
                // No record refers to it yet, and its writer is refused.
                DeleteHoldingLock(id);
            }

            // From now on another process may use the directory, and the same numbers.
            _isClosed = true;
        }
    }

    /// <summary>A value is complete and on the disk.</summary>
    /// <exception cref="ObjectDisposedException">The directory was closed before, and the file is gone.</exception>
    internal void Add(KvValueReference reference)
    {
        lock (_nameLock)
        {
            ThrowIfClosed();
            _begun.Remove(reference.Id);
            _files[reference.Id] = NewFile(reference);
            Volatile.Write(ref _lastError, null);
        }
    }

    internal void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw new ObjectDisposedException("KvNamespace", $"The namespace in {_storage.PathOf("")} was disposed.");
        }
    }

    /// <summary>Deletes a file that was never completed, or that nothing needs any more.</summary>
    internal void Delete(long id)
    {
        lock (_nameLock)
        {
            DeleteHoldingLock(id);
        }
    }

    /// <summary>Decides what an error means for the value that was being written, to which no record refers yet.</summary>
    internal Exception Failed(Exception e)
    {
        if (_isClosed)
        {
            // The directory may have been removed, which is no failure of the disk.
            return new ObjectDisposedException($"The namespace in {_storage.PathOf("")} was disposed.", e);
        }

        if (e is FlushFailedException or DirectoryLostException && _log is { } log)
        {
            var failure = e is DirectoryLostException
                ? new KvPersistenceException($"Writing a large value failed: {e.Message}", e)
                : new KvPersistenceException(
                    $"Writing a large value failed: {e.InnerException!.Message.TrimEnd('.')}. Nothing more is written until the namespace is opened again.", e.InnerException);
            log.Fail(failure);
            return failure;
        }

        var error = new KvPersistenceException(
            $"Writing a large value failed: {e.Message.TrimEnd('.')}. Nothing of it was kept. Later writes may succeed.", e);
        Volatile.Write(ref _lastError, error);
        return error;
    }

    private ValueFile NewFile(KvValueReference reference) => new(_storage, reference, Remove);

    private void Remove(ValueFile file)
    {
        _files.TryRemove(file.Reference.Id, out _);
        Delete(file.Reference.Id);
    }

    private void DeleteHoldingLock(long id)
    {
        Debug.Assert(_nameLock.IsHeldByCurrentThread);
        if (_isClosed)
        {
            return;
        }

        _begun.Remove(id);
        try
        {
            _storage.Delete(FileNames.Value(id));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Costs disk space, nothing else. Opening the directory the next time removes it.
            PersistenceEvents.FileNotRemoved(_logger, _storage.PathOf(FileNames.Value(id)), e);
        }
    }

    /// <summary>Creates a file, under the lock of names, so that no file appears in a directory that is closed.</summary>
    internal IStorageFile Begin(long id)
    {
        lock (_nameLock)
        {
            ThrowIfClosed();
            var file = _storage.Create(FileNames.Value(id));
            _begun.Add(id);
            return file;
        }
    }
}
