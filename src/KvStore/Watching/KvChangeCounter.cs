using KvStore.Watching;

namespace KvStore;

/// <summary>
/// Counts the changes of the keys that begin with a prefix, so that a cache of what was made from entries knows without a lookup that no
/// entry has changed. Made by <see cref="KvNamespace.CountChanges"/>.
/// </summary>
/// <remarks>
/// <para>Read <see cref="Count"/>, then the entry, then make the object. As long as <see cref="Count"/> has that value, the object is what the
/// entry says. When it has another value, compare <see cref="KvValue.Revision"/> of the entry.</para>
/// <para>Thread safety: all members, from any thread. Reading the count takes no lock.</para>
/// </remarks>
public sealed class KvChangeCounter : IChangeObserver, IDisposable
{
    private readonly ChangeFeed _feed;
    private readonly WatchedKeys _keys;
    private readonly WatcherHandle _handle;
    private long _count;

    internal KvChangeCounter(ChangeFeed feed, WatchedKeys keys)
    {
        _feed = feed;
        _keys = keys;
        _handle = new WatcherHandle(this);
    }

    /// <summary>
    /// How many changes were counted. A put, touch, delete, expiration or eviction is counted after readers see it, and before its task
    /// completes. Disposing the namespace counts as a change.
    /// </summary>
    public long Count => Volatile.Read(ref _count);

    WatchedKeys IChangeObserver.Keys => _keys;

    WatcherHandle IChangeObserver.Handle => _handle;

    bool IChangeObserver.Note(in KeyChange change)
    {
        Interlocked.Increment(ref _count);
        return false;
    }

    void IChangeObserver.Close() => Interlocked.Increment(ref _count);

    /// <summary>Ends the counting: <see cref="Count"/> does not change any more.</summary>
    public void Dispose() => _feed.Remove(this);
}
