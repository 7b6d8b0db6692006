using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using KvStore.Diagnostics;
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
    private const int IdsReserved = 1024;

    private readonly IStorage _storage;
    private readonly ILogger _logger;
    private readonly Lock _idLock = new();
    private readonly ConcurrentDictionary<long, ValueFile> _files = new();
    private readonly Lock _releaseGate = new();
    private readonly Lock _nameGate = new();

    // Under the gate of names: the files that are being written.
    private readonly HashSet<long> _begun = [];

    // Under the gate of releases, linked through the files, so that a release needs no memory: it comes in the middle of a mutation.
    private ValueFile? _released;
    private bool _isSuspended;
    private bool _isRemoving;
    private Task _removal = Task.CompletedTask;
    private long _lastId;
    private long _idLimit;
    private KvPersistenceException? _lastError;
    private volatile bool _isClosed;

    public ValueFiles(IStorage storage, int thresholdBytes, RecoveredFiles recovered, ILogger logger)
    {
        _storage = storage;
        _logger = logger;
        ThresholdBytes = thresholdBytes;
        _lastId = _idLimit = recovered.HighestValueId;
        foreach (var reference in recovered.LiveReferences)
        {
            _files[reference.Id] = new ValueFile(this, reference);
        }
    }

    public int ThresholdBytes { get; }

    /// <summary>Puts on the disk what was appended so far, before files are removed. Null while nothing can be written.</summary>
    public Func<ValueTask>? Flush { get; set; }

    /// <summary>Where numbers are reserved. Null while nothing can be written.</summary>
    public OpenManifest? Manifest { get; set; }

    /// <summary>Ends writing, after a flush has failed.</summary>
    public Func<Exception, KvPersistenceException>? Fail { get; set; }

    /// <summary>What the last large value that was written failed with; null once one has succeeded.</summary>
    public KvPersistenceException? LastError => Volatile.Read(ref _lastError);

    /// <summary>The cause of the last error is gone, as far as the log can tell.</summary>
    public void ForgetError() => Volatile.Write(ref _lastError, null);

    /// <summary>Throws when nothing can be written.</summary>
    public Action? CheckWritable { get; set; }

    public KvLargeValueWriter Create()
    {
        CheckWritable?.Invoke();
        var id = 0L;
        try
        {
            id = TakeId(out var directory);
            return new ValueFileWriter(this, _storage, directory, id, Begin(id));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (id > 0)
            {
                Delete(id);
            }

            throw Failed(e);
        }
    }

    public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
    {
        if (_files.TryGetValue(reference.Id, out var file) && file.Reference == reference && file.TryHold() is { } lease)
        {
            value = new HeldValue(this, lease);
            return true;
        }

        value = null;
        return false;
    }

    public void Release(KvValueReference reference)
    {
        if (!_files.TryGetValue(reference.Id, out var file) || file.Reference != reference || !file.TryRelease())
        {
            return;
        }

        // It may be released because its deadline has passed, by a clock that is set back before the directory is opened again.
        Manifest?.NoteTime();
        lock (_releaseGate)
        {
            file.NextReleased = _released;
            _released = file;
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
            ValueFile? released;
            lock (_releaseGate)
            {
                // A put that comes too late may give up its value meanwhile.
                released = _released;
                _released = null;
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
            Volatile.Write(ref _lastError, null);
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

    /// <summary>Decides what an error means for the value that was being written, to which nothing refers yet.</summary>
    internal Exception Failed(Exception e)
    {
        if (_isClosed)
        {
            // The directory may have been removed, which is no failure of the disk.
            return new ObjectDisposedException($"The namespace in {_storage.PathOf("")} was disposed.", e);
        }

        if (e is FlushFailedException && Fail is { } fail)
        {
            return fail(e.InnerException!);
        }

        var error = new KvPersistenceException(
            $"Writing a large value failed: {e.Message.TrimEnd('.')}. Nothing of it was kept. Later writes may succeed.", e);
        Volatile.Write(ref _lastError, error);
        return error;
    }

    internal Stream OpenStream(ValueFile.Lease lease)
    {
        var name = FileNames.Value(lease.File.Reference.Id);
        IStorageFile? file = null;
        try
        {
            file = _storage.Open(name, isWritable: false);
            var path = _storage.PathOf(name);
            var header = DirectoryInventory.ReadValueHeader(file, path, lease.File.Reference);
            return new ValueFileStream(file, path, header, lease);
        }
        catch
        {
            file?.Dispose();
            lease.Dispose();
            throw;
        }
    }

    /// <summary>
    /// A number that no large value of this directory ever had: they are reserved in the manifest before they are given, many at
    /// once, so that none is given again whatever a crash, an expiry or the clock does to what refers to it.
    /// </summary>
    private long TakeId(out Guid directory)
    {
        var manifest = Manifest ?? throw new InvalidOperationException("Nothing can be written before the manifest is known.");
        directory = manifest.Directory;
        var id = Interlocked.Increment(ref _lastId);
        if (id > Volatile.Read(ref _idLimit))
        {
            lock (_idLock)
            {
                if (id > _idLimit)
                {
                    var limit = id + IdsReserved - 1;
                    manifest.ReserveValueIds(limit);
                    Volatile.Write(ref _idLimit, limit);
                }
            }
        }

        return id;
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
        if (!_isRemoving && _released is not null && Flush is not null)
        {
            try
            {
                AllocationProbe.Before();
                _isRemoving = true;
                _removal = Task.Run(RemoveReleasedAsync);
            }
            catch (OutOfMemoryException)
            {
                // The mutation that released the file is made. The next release begins again, or closing does.
                _isRemoving = false;
            }
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
            catch (Exception e) when (e is KvPersistenceException or OutOfMemoryException)
            {
                // The log is closed, and closing takes care of the rest; or it failed, of which whoever writes hears. Then
                // nothing is removed until the directory is opened again: what the disk holds of the last writes is not known. Where
                // there was no memory, the next release begins again.
                lock (_releaseGate)
                {
                    var last = released;
                    while (last.NextReleased is { } next)
                    {
                        last = next;
                    }

                    last.NextReleased = _released;
                    _released = released;
                    _isRemoving = false;
                    return;
                }
            }

            AllowRemoval(released);
        }
    }

    private bool TryTakeReleased([NotNullWhen(true)] out ValueFile? released, [NotNullWhen(true)] out Func<ValueTask>? flush)
    {
        lock (_releaseGate)
        {
            flush = Flush;
            released = _released;
            if (flush is null || _isSuspended || released is null)
            {
                _isRemoving = false;
                return false;
            }

            _released = null;
            return true;
        }
    }

    private static void AllowRemoval(ValueFile? first)
    {
        while (first is { } file)
        {
            first = file.NextReleased;
            file.NextReleased = null;
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
