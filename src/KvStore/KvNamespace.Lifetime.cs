using KvStore.Diagnostics;
using KvStore.Rules;

namespace KvStore;

/// <content>Opening, making durable, closing.</content>
public sealed partial class KvNamespace
{
    private readonly Lock _disposing = new();
    private Task? _disposal;

    /// <summary>What this namespace accepts.</summary>
    internal KvLimits Limits => _limits;

    /// <summary>
    /// Whether writes are taken, and if not, why: after the disk has failed a namespace goes on serving reads and refuses
    /// writes until <see cref="ReopenAsync"/>. Degraded while the last write failed and the next one may succeed, as on a full
    /// disk. Always healthy for a namespace that lives in memory alone.
    /// </summary>
    public KvPersistenceHealth Health => _commit.Log?.Persistence.Health ?? KvPersistenceHealth.Healthy;

    /// <summary>Opens a namespace, recovering what its persistence provider holds. The namespace then owns the provider.</summary>
    /// <param name="name">Its name, not empty.</param>
    /// <param name="options">How it behaves; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The name is empty, or an option is out of its range; the message names it.</exception>
    /// <exception cref="KvPersistenceException">
    /// What is kept cannot be opened: another process holds it (<see cref="KvDirectoryLockedException"/>), it is damaged
    /// (<see cref="KvDamagedFileException"/>), or its format is unknown.
    /// </exception>
    public static async ValueTask<KvNamespace> OpenAsync(
        string name, KvNamespaceOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        options ??= new KvNamespaceOptions();
        options.Validate();
        cancellationToken.ThrowIfCancellationRequested();
        var kv = new KvNamespace(name, options);
        if (options.Persistence is { } persistence)
        {
            try
            {
                await kv._commit.OpenAsync(options, persistence, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                await kv.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        return kv;
    }

    /// <summary>
    /// Puts on the disk every put and delete that has completed before, whatever the configured durability. Nothing to do for
    /// a namespace that lives in memory alone.
    /// </summary>
    /// <param name="cancellationToken">Looked at before anything happens.</param>
    /// <returns>A task that completes when they are on the disk.</returns>
    /// <exception cref="KvPersistenceException">That is not possible.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        CheckDisposed();
        return _commit.Log?.Persistence.FlushAsync(cancellationToken) ?? default;
    }

    /// <summary>
    /// Takes writes again after the disk has failed (<see cref="Health"/> is <see cref="KvPersistenceStatus.Failed"/>) and its
    /// cause is gone, without closing the namespace. Every write that completed is kept, and none that failed comes back. Reads
    /// go on meanwhile. Nothing to do when nothing has failed, or for a namespace that lives in memory alone.
    /// </summary>
    /// <param name="cancellationToken">Abandons the attempt; writes are refused as before.</param>
    /// <returns>A task that completes when writes are taken again.</returns>
    /// <exception cref="KvPersistenceException">The cause still stands, or what is on the disk is damaged; writes are refused as before.</exception>
    /// <exception cref="NotSupportedException">The persistence provider cannot do that.</exception>
    public ValueTask ReopenAsync(CancellationToken cancellationToken = default)
    {
        CheckDisposed();
        return _commit.Log?.Persistence.ReopenAsync(cancellationToken) ?? default;
    }

    /// <summary>
    /// Rewrites what the persistence provider keeps so that only live entries take up room. Happens by itself when dead bytes
    /// outweigh live ones; reads and writes go on meanwhile. Nothing to do for a namespace that lives in memory alone.
    /// </summary>
    /// <param name="cancellationToken">Abandons the attempt; nothing is lost by it.</param>
    /// <returns>A task that completes when the room is free.</returns>
    /// <exception cref="KvPersistenceException">It failed; the message says whether writes go on.</exception>
    public ValueTask CompactAsync(CancellationToken cancellationToken = default)
    {
        CheckDisposed();
        return _commit.Log?.Persistence.CompactAsync(cancellationToken) ?? default;
    }

    /// <summary>
    /// Writes a copy of the namespace as it is at one moment during the call; it can be opened as it is. Reads and writes go
    /// on meanwhile.
    /// </summary>
    /// <param name="directory">A directory that is empty or does not exist.</param>
    /// <param name="cancellationToken">Abandons the attempt; what was written so far can be removed.</param>
    /// <returns>A task that completes when the copy is on the disk.</returns>
    /// <exception cref="InvalidOperationException">The namespace lives in memory alone.</exception>
    /// <exception cref="KvPersistenceException">The directory is not empty, or cannot be written.</exception>
    public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        CheckDisposed();
        return _commit.Log is { } log
            ? log.Persistence.SnapshotAsync(directory, cancellationToken)
            : throw new InvalidOperationException($"The namespace {VisibleKey.Quote(Name)} lives in memory alone; only one with a persistence provider can be copied to a directory.");
    }

    /// <inheritdoc/>
    /// <exception cref="KvPersistenceException">What was acknowledged without being on the disk could not be put there.</exception>
    public ValueTask DisposeAsync()
    {
        lock (_disposing)
        {
            return new(_disposal ??= CloseAsync());
        }
    }

    /// <summary>
    /// Does what <see cref="DisposeAsync"/> does, for containers that are disposed synchronously. Blocks while a persistence
    /// provider writes.
    /// </summary>
    public void Dispose()
    {
        // The one place that blocks: returning before everything is on the disk would lose it. What is waited for runs on the
        // thread pool and needs no thread of the caller's.
        DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private async Task CloseAsync()
    {
        _isDisposed = true;
        lock (_directGate)
        {
            _isDirect = false;
            _isPlain = false;
        }

        _commit.IsClosed = true;
        _largeValues.Dispose();
        try
        {
            if (_commit.Log is { } log)
            {
                await log.CloseAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _telemetry.Dispose();
            _replicated?.Dispose();
            _store.Dispose();
            _clock.Leave(this);
            _logger.NamespaceDisposed(Name);
        }
    }
}
