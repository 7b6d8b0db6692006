using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using KvStore.Persistence.Storage;
using Microsoft.Extensions.Logging;

namespace KvStore.Persistence.Log;

/// <summary>The large values of a directory: each a file that is written once, and removed when nothing needs it.</summary>
/// <remarks>
/// A file that is released is removed only after a flush of the log: what replaced it might otherwise be lost by a crash that
/// the removal survives, and the log would lead to a file that is not there.
/// Thread safety: all members, from any thread.
/// </remarks>
internal sealed class ValueFiles : IKvLargeValues
{
    private readonly IStorage _storage;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<long, ValueFile> _files = new();
    private readonly Lock _releaseGate = new();
    private readonly Lock _nameGate = new();

    // Under the gate of names: the files that are being written.
    private readonly HashSet<long> _begun = [];
    private List<ValueFile> _released = [];
    private bool _isSuspended;
    private bool _isRemoving;
    private Task _removal = Task.CompletedTask;
    private long _lastId;
    private volatile bool _isClosed;

    public ValueFiles(IStorage storage, int thresholdBytes, RecoveredFiles recovered, ILogger logger)
    {
        _storage = storage;
        _logger = logger;
        ThresholdBytes = thresholdBytes;
        _lastId = recovered.HighestValueId;
        foreach (var reference in recovered.LiveReferences)
        {
            _files[reference.Id] = new ValueFile(this, reference);
        }
    }

    public int ThresholdBytes { get; }

    /// <summary>Puts on the disk what was appended so far, before files are removed. Null while nothing can be written.</summary>
    public Func<ValueTask>? Flush { get; set; }

    /// <summary>Takes note of an error of the disk.</summary>
    public Func<Exception, KvPersistenceException>? Fail { get; set; }

    /// <summary>Throws when nothing can be written.</summary>
    public Action? CheckWritable { get; set; }

    public KvLargeValueWriter Create()
    {
        CheckWritable?.Invoke();
        var id = Interlocked.Increment(ref _lastId);
        try
        {
            return new ValueFileWriter(this, _storage, id, Begin(id));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }
    }

    public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
    {
        if (_files.TryGetValue(reference.Id, out var file) && file.TryHold() is { } lease)
        {
            value = new HeldValue(this, lease);
            return true;
        }

        value = null;
        return false;
    }

    public void Release(KvValueReference reference)
    {
        if (!_files.TryGetValue(reference.Id, out var file) || !file.TryRelease())
        {
            return;
        }

        lock (_releaseGate)
        {
            _released.Add(file);
            StartRemoval();
        }
    }

    /// <summary>Removes nothing that is released from now on, until <see cref="ResumeRemoval"/>.</summary>
    public void SuspendRemoval()
    {
        lock (_releaseGate)
        {
            _isSuspended = true;
        }
    }

    public void ResumeRemoval()
    {
        lock (_releaseGate)
        {
            _isSuspended = false;
            StartRemoval();
        }
    }

    /// <summary>All files that are complete, each held.</summary>
    public List<ValueFile.Lease> HoldAll() =>
        [.. _files.Values.Select(file => file.TryHold()).OfType<ValueFile.Lease>()];

    /// <summary>
    /// Everything is on the disk: removes what can be removed and what is only half written, and touches no file later.
    /// </summary>
    /// <param name="isFlushed">Whether everything appended is on the disk.</param>
    public async ValueTask CloseAsync(bool isFlushed)
    {
        Task removal;
        lock (_releaseGate)
        {
            Flush = null;
            removal = _removal;
        }

        await removal.ConfigureAwait(false);
        if (isFlushed)
        {
            List<ValueFile> released;
            lock (_releaseGate)
            {
                // A put that comes too late may give up its value meanwhile.
                released = _released;
                _released = [];
            }

            AllowRemoval(released);
        }

        lock (_nameGate)
        {
            foreach (var id in _begun.ToArray())
            {
                // Nothing refers to it yet, and whoever writes it is refused.
                Delete(id);
            }

            // From now on somebody else may use the directory, and the same numbers.
            _isClosed = true;
        }
    }

    /// <summary>A value is complete and on the disk.</summary>
    /// <exception cref="ObjectDisposedException">The directory was closed before, and the file is gone.</exception>
    internal void Add(KvValueReference reference)
    {
        lock (_nameGate)
        {
            ThrowIfClosed();
            _begun.Remove(reference.Id);
            _files[reference.Id] = new ValueFile(this, reference);
        }
    }

    internal void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw new ObjectDisposedException(nameof(KvNamespace), $"The namespace in {_storage.PathOf("")} was disposed.");
        }
    }

    /// <summary>Removes a file that nothing refers to and nobody holds.</summary>
    internal void Remove(ValueFile file)
    {
        _files.TryRemove(file.Reference.Id, out _);
        Delete(file.Reference.Id);
    }

    /// <summary>Deletes a file that was never completed, or is not needed any more.</summary>
    internal void Delete(long id)
    {
        lock (_nameGate)
        {
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
                // Costs room, nothing else; it is tried again when the directory is opened the next time.
                PersistenceEvents.FileNotRemoved(_logger, _storage.PathOf(FileNames.Value(id)), e);
            }
        }
    }

    // A directory that is closed may have been removed, which is no failure of the disk.
    internal Exception Failed(Exception e) =>
        _isClosed ? new ObjectDisposedException($"The namespace in {_storage.PathOf("")} was disposed.", e)
        : Fail?.Invoke(e) ?? new KvPersistenceException($"Writing a large value failed: {e.Message}", e);

    internal Stream OpenStream(ValueFile.Lease lease)
    {
        var name = FileNames.Value(lease.File.Reference.Id);
        IStorageFile? file = null;
        try
        {
            file = _storage.Open(name, isWritable: false);
            var path = _storage.PathOf(name);
            var header = FileHeader.Read(file, path, FileKind.Value, lease.File.Reference.Id);
            return new ValueFileStream(file, path, header.Seed, lease);
        }
        catch
        {
            file?.Dispose();
            lease.Dispose();
            throw;
        }
    }

    // Under the gate, so that no file appears in a directory that is closed.
    private IStorageFile Begin(long id)
    {
        lock (_nameGate)
        {
            ThrowIfClosed();
            var file = _storage.Create(FileNames.Value(id));
            _begun.Add(id);
            return file;
        }
    }

    // Under the gate of releases.
    private void StartRemoval()
    {
        if (!_isRemoving && _released.Count > 0 && Flush is not null)
        {
            _isRemoving = true;
            _removal = Task.Run(RemoveReleasedAsync);
        }
    }

    private async Task RemoveReleasedAsync()
    {
        while (TryTakeReleased(out var released, out var flush))
        {
            try
            {
                await flush().ConfigureAwait(false);
            }
            catch (KvPersistenceException)
            {
                // The log is closed, and closing takes care of the rest; or it failed, of which whoever writes hears. Then
                // nothing is removed until the directory is opened again: what the disk holds of the last writes is not known.
                lock (_releaseGate)
                {
                    _released.AddRange(released);
                    _isRemoving = false;
                    return;
                }
            }

            AllowRemoval(released);
        }
    }

    private bool TryTakeReleased(out List<ValueFile> released, [NotNullWhen(true)] out Func<ValueTask>? flush)
    {
        lock (_releaseGate)
        {
            flush = Flush;
            released = _released;
            if (flush is null || _isSuspended || released.Count == 0)
            {
                _isRemoving = false;
                return false;
            }

            _released = [];
            return true;
        }
    }

    private static void AllowRemoval(List<ValueFile> files)
    {
        foreach (var file in files)
        {
            file.AllowRemoval();
        }
    }

    /// <summary>A value that somebody looks at.</summary>
    private sealed class HeldValue(ValueFiles files, ValueFile.Lease lease) : KvLargeValue
    {
        public override long Length => lease.File.Reference.Length;

        public override Stream OpenStream()
        {
            // A lease of its own, so that the stream gives the file back when it is disposed, not when it is collected.
            var itsLease = lease.File.TryHold() ?? throw new ObjectDisposedException(nameof(KvLargeValue));
            return files.OpenStream(itsLease);
        }

        public override void Dispose() => lease.Dispose();
    }
}
