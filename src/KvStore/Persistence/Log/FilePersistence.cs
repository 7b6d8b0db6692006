using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;

namespace KvStore;

/// <summary>
/// Keeps a namespace in a directory: an append-only log, from time to time a snapshot of what is live, and a file for each
/// large value.
/// </summary>
/// <remarks>
/// One process at a time has the directory open, or any number of them with <see cref="FilePersistenceOptions.ReadOnly"/>. <c>docs/durability.md</c> says what survives what, <c>docs/FORMAT.md</c> what
/// the files look like. Thread safety: as <see cref="IKvPersistence"/> says.
/// </remarks>
public sealed class FilePersistence : IKvPersistence
{
    private readonly Func<string, IStorage> _openStorage;
    private readonly bool _retries;
    private LogPersistence? _opened;
    private IStorage? _storage;
    private TimeProvider _timeProvider = TimeProvider.System;
    private int _isOpen;

    /// <summary>Uses a directory, which is created when it is opened for the first time.</summary>
    /// <param name="directory">The directory; it belongs to one namespace, and nothing else should be in it.</param>
    /// <param name="options">How it is used; null for the defaults.</param>
    /// <exception cref="ArgumentException">The directory is empty, or an option is out of its range; the message names it.</exception>
    public FilePersistence(string directory, FilePersistenceOptions? options = null)
        : this(directory, options, path => new FileStorage(path, creates: options is not { ReadOnly: true }, (options ?? new FilePersistenceOptions()).UnixFileMode))
    {
        _retries = true;
    }

    internal FilePersistence(string directory, FilePersistenceOptions? options, Func<string, IStorage> openStorage)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        if (directory.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException("The directory contains U+0000, which no path can contain.", nameof(directory));
        }

        Options = options ?? new FilePersistenceOptions();
        Options.Validate();
        Directory = directory;
        _openStorage = openStorage;
    }

    /// <summary>The directory.</summary>
    public string Directory { get; }

    /// <summary>How it is used.</summary>
    public FilePersistenceOptions Options { get; }

    /// <inheritdoc/>
    public KvPersistenceHealth Health => Volatile.Read(ref _opened)?.Health ?? new KvPersistenceHealth(KvPersistenceStatus.Closed);

    /// <inheritdoc/>
    public IKvLargeValues? LargeValues => Volatile.Read(ref _opened)?.LargeValues;

    private LogPersistence Opened => Volatile.Read(ref _opened) ?? throw NotOpen();

    /// <inheritdoc/>
    /// <exception cref="KvDirectoryLockedException">The directory is open already, here or in another process.</exception>
    /// <exception cref="KvDamagedFileException">A file is damaged in a place where no crash explains it, is missing, or belongs elsewhere.</exception>
    public async ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);
        if (Interlocked.Exchange(ref _isOpen, 1) != 0)
        {
            throw new InvalidOperationException($"{Directory} is already open by this object. Dispose it first, or use another object for another directory.");
        }

        try
        {
            var opened = await OwnThread.RunAsync(() => Open(host, cancellationToken), cancellationToken).ConfigureAwait(false);
            Volatile.Write(ref _opened, opened);
            return opened.Recovery;
        }
        catch
        {
            Volatile.Write(ref _isOpen, 0);
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : Opened.AppendAsync(mutation);

    /// <inheritdoc/>
    public IDisposable? BeginGroup() => Opened.BeginGroup();

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : Opened.FlushAsync();

    /// <inheritdoc/>
    public ValueTask CompactAsync(CancellationToken cancellationToken = default) => Opened.CompactAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        var opened = Opened;
        if (Options.ReadOnly)
        {
            throw new KvPersistenceException(
                $"{Directory} was opened with {nameof(FilePersistenceOptions.ReadOnly)}, and makes no copy: open it without, or copy its files while no process has it open for writing.");
        }

        try
        {
            using var target = OpenStorage(directory);
            await opened.SnapshotAsync(target, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KvPersistenceException(
                $"The copy to {directory} failed: {e.Message} The namespace itself is not affected. Remove what is there and copy again.", e);
        }
    }

    /// <summary>Makes a copy as <see cref="SnapshotAsync"/> does, in a directory that is open.</summary>
    internal ValueTask CopyToAsync(IStorage target, CancellationToken cancellationToken = default) => Opened.SnapshotAsync(target, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>
    /// The log is cut off behind what is known to be on the disk, every checksum of it is verified, and a new log is begun. In
    /// the relaxed modes the live entries are written as a snapshot first, since the log may lack some that have completed.
    /// When the last write has failed and the next may succeed, what waits is written, and files of replaced large values are removed.
    /// </remarks>
    public ValueTask ReopenAsync(CancellationToken cancellationToken = default) => Opened.ReopenAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _opened, null) is { } opened)
        {
            try
            {
                await opened.DisposeAsync().ConfigureAwait(false);
            }
            finally
            {
                _storage?.Dispose();
                Volatile.Write(ref _isOpen, 0);
            }
        }
    }

    private LogPersistence Open(IKvPersistenceHost host, CancellationToken cancellationToken)
    {
        _timeProvider = host.TimeProvider;
        _storage = OpenStorage(Directory);
        _storage = _retries ? new RetryingStorage(_storage, host.TimeProvider) : _storage;
        try
        {
            return LogPersistence.Open(_storage, host, Options, cancellationToken);
        }
        catch
        {
            _storage.Dispose();
            throw;
        }
    }

    private IStorage OpenStorage(string directory)
    {
        try
        {
            return _retries ? RetryingStorage.RetryForDescriptors(() => _openStorage(directory), _timeProvider) : _openStorage(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KvPersistenceException($"{directory} cannot be opened: {e.Message}", e);
        }
    }

    private InvalidOperationException NotOpen() => new($"{Directory} is not open. Open the namespace, or call OpenAsync, before anything else.");
}
