namespace KvStore.Watching;

/// <summary>What the feed knows of a watcher or callback: it does not keep one alive whose reader was abandoned.</summary>
/// <remarks>
/// A reader that waits is kept alive, because only the next change leads back to it. One that does not wait is kept alive by the code that
/// is going to read on; when there is none, nobody disposes it either, and it is collected. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class WatcherHandle(IChangeObserver observer)
{
    private readonly WeakReference<IChangeObserver> _observer = new(observer);
    private Watcher? _waiting;
    private bool _isRemoved;

    /// <summary>The keys whose changes are noted.</summary>
    public WatchedKeys Keys { get; } = observer.Keys;

    /// <summary>Whether the reader was collected.</summary>
    public bool IsAbandoned => !_observer.TryGetTarget(out _);

    /// <summary>Keeps the watcher alive until <see cref="Release"/>.</summary>
    public void Keep(Watcher waiting) => Volatile.Write(ref _waiting, waiting);

    /// <summary>Ends what <see cref="Keep"/> began.</summary>
    public void Release() => Volatile.Write(ref _waiting, null);

    /// <summary>Notes a change.</summary>
    /// <returns>Whether an older change of the key was skipped.</returns>
    public bool Note(in KeyChange change) => _observer.TryGetTarget(out var observer) && observer.Note(change);

    /// <summary>The namespace is disposed.</summary>
    public void Close()
    {
        if (_observer.TryGetTarget(out var observer))
        {
            observer.Close();
        }
    }

    /// <summary>Whether this is the first call. Call only while holding the lock of the feed.</summary>
    public bool TryMarkRemoved() => !_isRemoved && (_isRemoved = true);
}
