using System.Diagnostics;

namespace KvStore.Watching;

/// <summary>The changes of a namespace: notes each at the watchers of its key, and remembers for a while which keys were removed.</summary>
/// <remarks>
/// <para>Every change of the newest state of a key is noted in the step that publishes it, under the lock of its shard, after its revision
/// was taken. So a watcher that is added before somebody reads the highest revision is notified of every mutation with a higher one.</para>
/// <para>A put costs one look at a field while nobody watches. A removal is also remembered.</para>
/// <para>Thread safety: all members, from any thread; those that name a shard only under its lock.</para>
/// </remarks>
internal sealed class ChangeFeed
{
    private readonly Lock _lock = new();
    private readonly RemovedKeys[] _removed;
    private volatile WatchRoutes? _routes;
    private long _begin = long.MaxValue;
    private long _settledThrough;
    private long _skippedCount;
    private int _watcherCount;
    private bool _isClosed;

    /// <param name="shards">How many shards there are.</param>
    public ChangeFeed(int shards)
    {
        _removed = new RemovedKeys[shards];
        for (var i = 0; i < shards; i++)
        {
            _removed[i] = new RemovedKeys();
        }
    }

    /// <summary>Whether somebody watches any key.</summary>
    public bool IsWatched => _routes is not null;

    /// <summary>How many watchers there are.</summary>
    public int WatcherCount => Volatile.Read(ref _watcherCount);

    /// <summary>How many changes watchers were not shown because a newer one of the key came before they read.</summary>
    public long SkippedCount => Volatile.Read(ref _skippedCount);

    /// <summary>The bytes of the keys that were removed and are remembered.</summary>
    public long Bytes
    {
        get
        {
            var bytes = 0L;
            foreach (var removed in _removed)
            {
                bytes += removed.Bytes;
            }

            return bytes;
        }
    }

    /// <summary>Removals are remembered from now on; all have higher revisions than this one, which nobody has seen in another process.</summary>
    public void Begin(long revision) => Volatile.Write(ref _begin, revision);

    /// <summary>Every mutation up to this revision is visible or has failed, and was noted.</summary>
    public long SettledThrough => Volatile.Read(ref _settledThrough);

    /// <summary>Moves <see cref="SettledThrough"/> forward.</summary>
    public void NoteSettled(long throughRevision)
    {
        var settled = SettledThrough;
        while (throughRevision > settled)
        {
            settled = Interlocked.CompareExchange(ref _settledThrough, throughRevision, settled) is var seen && seen == settled ? throughRevision : seen;
        }
    }

    /// <summary>
    /// Finds the revision after which a watch goes on that was shown another one; null when it must begin anew. The same one where
    /// revisions are given in the order in which mutations become visible.
    /// </summary>
    public Func<long, long?> ResumeAfter { get; set; } = static revision => revision;

    /// <summary>A key has a new record. Requires: <see cref="IsWatched"/> was true, or may have been.</summary>
    public void NotePut(ReadOnlySpan<byte> key, ulong hash, long replaced, long revision) =>
        Note(new KeyChange(key, hash, replaced, revision, KvChangeKind.Put));

    /// <summary>A key that had a value has none any more. Call only while holding the lock of the shard.</summary>
    /// <param name="shard">The shard.</param>
    /// <param name="change">The removal.</param>
    /// <param name="rememberedBytesMax">The most bytes for removals that are remembered in the shard.</param>
    public void NoteRemoval(int shard, in KeyChange change, int rememberedBytesMax)
    {
        if (Volatile.Read(ref _begin) != long.MaxValue)
        {
            _removed[shard].Add(change, rememberedBytesMax);
        }

        Note(change);
    }

    /// <summary>Adds the removals of some keys in a shard after a revision to a list. Call only while holding the lock of the shard.</summary>
    /// <returns>False when some may have been forgotten.</returns>
    public bool TryCollectRemovals(int shard, long afterRevision, WatchedKeys keys, List<PendingChange> destination) =>
        afterRevision >= Volatile.Read(ref _begin) && _removed[shard].TryCollect(afterRevision, keys, destination);

    /// <summary>Forgets removals of a shard until they take at most so many bytes. Call only while holding the lock of the shard.</summary>
    public void TrimRemovals(int shard, int bytesMax) => _removed[shard].Trim(bytesMax);

    /// <summary>Adds a watcher, which is notified of every mutation whose revision is taken from now on.</summary>
    /// <returns>False when the namespace is disposed.</returns>
    public bool TryAdd(IChangeObserver watcher)
    {
        lock (_lock)
        {
            if (_isClosed)
            {
                return false;
            }

            _routes = _routes?.With(watcher.Handle) ?? WatchRoutes.Of(watcher.Handle);
            _watcherCount++;
        }

        // A writer takes its revision, then looks at the routes. The caller reads the highest revision after this.
        Interlocked.MemoryBarrier();
        return true;
    }

    /// <summary>Removes a watcher, once. Requires: it was added.</summary>
    public void Remove(IChangeObserver watcher)
    {
        lock (_lock)
        {
            RemoveHoldingLock(watcher.Handle);
        }
    }

    /// <summary>Removes the watchers whose readers were abandoned and have been collected.</summary>
    public void RemoveAbandoned()
    {
        if (_routes is not { } routes)
        {
            return;
        }

        foreach (var handle in routes.Handles)
        {
            if (handle.IsAbandoned)
            {
                lock (_lock)
                {
                    RemoveHoldingLock(handle);
                }
            }
        }
    }

    /// <summary>Ends all watches.</summary>
    public void Close()
    {
        WatchRoutes? routes;
        lock (_lock)
        {
            routes = _routes;
            _routes = null;
            _isClosed = true;
            _watcherCount = 0;
        }

        foreach (var handle in routes?.Handles ?? [])
        {
            handle.Close();
        }
    }

    private void RemoveHoldingLock(WatcherHandle handle)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (!_isClosed && handle.TryMarkRemoved())
        {
            Debug.Assert(_routes is not null, "The watcher was added.");
            _routes = _routes.Without(handle);
            _watcherCount--;
        }
    }

    private void Note(in KeyChange change)
    {
        if (_routes?.Note(change) is { } skipped and > 0)
        {
            Interlocked.Add(ref _skippedCount, skipped);
        }
    }
}
