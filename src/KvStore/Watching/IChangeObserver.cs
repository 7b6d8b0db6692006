namespace KvStore.Watching;

/// <summary>Is notified of every change of some keys, in the step that publishes the change.</summary>
internal interface IChangeObserver
{
    /// <summary>The keys whose changes are noted.</summary>
    WatchedKeys Keys { get; }

    /// <summary>What the feed knows of this.</summary>
    WatcherHandle Handle { get; }

    /// <summary>Notes a change of one of the keys, which is visible already. Never fails. Called under the lock of a shard.</summary>
    /// <returns>Whether an older change of the key was skipped.</returns>
    bool Note(in KeyChange change);

    /// <summary>The namespace is disposed.</summary>
    void Close();
}
