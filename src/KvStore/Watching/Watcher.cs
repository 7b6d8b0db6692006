using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Watching;

/// <summary>What one reader of changes has not been shown. Writers note changes here; one reader takes them.</summary>
/// <remarks>
/// <para>Changes of a key coalesce: only the newest is pending. Where even that takes too much memory, because very many keys were deleted
/// and nobody read, or because there is none, everything is forgotten and <see cref="HasLost"/> is set: the reader begins anew.</para>
/// <para>Thread safety: all members, from any thread; one reader. <see cref="Note"/> is called under the lock of a shard.</para>
/// </remarks>
internal sealed class Watcher : IChangeObserver, IDisposable
{
    /// <summary>Keys that are gone are kept up to this many bytes, and as many for each of them on top.</summary>
    public const long GoneKeyBytesMax = 16 << 20;

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _changed = new(0);
    private PendingChanges _pending = new();
    private bool _isAwaited;
    private bool _hasLost;
    private volatile bool _isClosed;

    /// <param name="keys">The keys whose changes are noted.</param>
    public Watcher(WatchedKeys keys)
    {
        Keys = keys;
        Handle = new WatcherHandle(this);
    }

    /// <summary>The keys whose changes are noted.</summary>
    public WatchedKeys Keys { get; }

    /// <summary>What the feed knows of this.</summary>
    public WatcherHandle Handle { get; }

    /// <summary>Whether the namespace is disposed.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Whether changes were forgotten, and nothing is noted until <see cref="BeginAnew"/>.</summary>
    public bool HasLost
    {
        get
        {
            lock (_lock)
            {
                return _hasLost;
            }
        }
    }

    /// <summary>Notes a change of one of the keys. Never fails.</summary>
    /// <returns>Whether an older change of the key was skipped.</returns>
    public bool Note(in KeyChange change)
    {
        lock (_lock)
        {
            if (_isClosed || _hasLost)
            {
                return false;
            }

            var isSkipped = false;
            try
            {
                isSkipped = _pending.Set(change);
                if (_pending.GoneKeyBytes > GoneKeyBytesMax)
                {
                    LoseHoldingLock();
                }
            }
            catch (OutOfMemoryException)
            {
                // The mutation is durable already, and must not fail because of a reader.
                LoseHoldingLock();
            }

            WakeHoldingLock();
            return isSkipped;
        }
    }

    /// <summary>Completes when there is something to take, something was lost, or the namespace is disposed; or, seldom, for nothing.</summary>
    public ValueTask WhenChangedAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_isClosed || _hasLost || _pending.Count > 0)
            {
                return default;
            }

            _isAwaited = true;
            Handle.Keep(this);
        }

        return new(_changed.WaitAsync(cancellationToken));
    }

    /// <summary>Takes everything that is pending, in the order of the revisions.</summary>
    public PendingChange[] Take()
    {
        PendingChanges taken;
        lock (_lock)
        {
            if (_pending.Count == 0)
            {
                return [];
            }

            AllocationProbe.Before();
            taken = _pending;
            _pending = new PendingChanges();
        }

        // Without the lock, because writers wait for it.
        var changes = taken.ToArray();
        Array.Sort(changes, PendingChange.ByRevision);
        return changes;
    }

    /// <summary>Takes what is pending up to a revision.</summary>
    public List<PendingChange> TakeThrough(long revision)
    {
        var taken = new List<PendingChange>();
        lock (_lock)
        {
            _pending.MoveThrough(revision, taken);
        }

        return taken;
    }

    /// <summary>The reader shows a record, whose put need not be shown any more.</summary>
    public void Forget(ulong hash, long revision)
    {
        lock (_lock)
        {
            _pending.Remove(hash, revision);
        }
    }

    /// <summary>Forgets everything. The changes from now on are noted.</summary>
    public void BeginAnew()
    {
        lock (_lock)
        {
            _pending.Clear();
            _hasLost = false;
        }
    }

    /// <summary>The namespace is disposed.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            _pending.Clear();
            WakeHoldingLock();
        }
    }

    /// <summary>The reader has ended. Nothing is noted any more.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isClosed = true;
            _isAwaited = false;
            _pending.Clear();
            _changed.Dispose();
        }
    }

    private void LoseHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        _hasLost = true;
        _pending.Clear();
    }

    // The reader goes on in the thread pool, not here.
    private void WakeHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_isAwaited)
        {
            _isAwaited = false;
            _changed.Release();
            Handle.Release();
        }
    }
}
