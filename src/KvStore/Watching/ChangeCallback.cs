using System.Diagnostics;

namespace KvStore.Watching;

/// <summary>Calls a method of the application for every change of some keys. See <see cref="KvNamespace.ObserveChanges"/>.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ChangeCallback : IChangeObserver, IDisposable
{
    private readonly ChangeFeed _feed;
    private readonly WatchedKeys _keys;
    private readonly WatcherHandle _handle;
    private readonly KvChangeCallback _callback;

    public ChangeCallback(ChangeFeed feed, WatchedKeys keys, KvChangeCallback callback)
    {
        _feed = feed;
        _keys = keys;
        _callback = callback;
        _handle = new WatcherHandle(this);
    }

    WatchedKeys IChangeObserver.Keys => _keys;

    WatcherHandle IChangeObserver.Handle => _handle;

    bool IChangeObserver.Note(in KeyChange change)
    {
        Call(change.Key);
        return false;
    }

    void IChangeObserver.Close() => Call(default);

    public void Dispose() => _feed.Remove(this);

    private void Call(ReadOnlySpan<byte> key)
    {
        try
        {
            _callback(key);
        }
        catch (Exception e)
        {
            // The change is visible, perhaps durable, and must not fail because of an observer.
            Debug.Fail($"A {nameof(KvChangeCallback)} has thrown {e.GetType()}; it must not throw.");
        }
    }
}
