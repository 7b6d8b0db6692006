namespace KvStore.Watching;

/// <summary>Holds a watcher for its reader, and removes it from the feed when the reader is disposed, or was abandoned and collected.</summary>
internal sealed class WatchSubscription : IDisposable
{
    private readonly ChangeFeed _feed;
    private int _isDisposed;

    private WatchSubscription(ChangeFeed feed, Watcher watcher)
    {
        _feed = feed;
        Watcher = watcher;
    }

    // The feed knows the watcher, not this: so a reader that nobody disposed and nobody reads can be collected.
    ~WatchSubscription() => Remove();

    /// <summary>The watcher.</summary>
    public Watcher Watcher { get; }

    /// <summary>Adds a watcher to a feed; null when the namespace is disposed.</summary>
    public static WatchSubscription? To(ChangeFeed feed, WatchedKeys keys)
    {
        var watcher = new Watcher(keys);
        return feed.TryAdd(watcher) ? new WatchSubscription(feed, watcher) : null;
    }

    /// <summary>Removes the watcher.</summary>
    public void Dispose()
    {
        Remove();
        GC.SuppressFinalize(this);
    }

    private void Remove()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            _feed.Remove(Watcher);
        }
    }
}
