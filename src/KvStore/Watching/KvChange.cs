namespace KvStore;

/// <summary>A change that a watch shows: see <see cref="IKvExtendedNamespace.WatchAsync"/>.</summary>
public readonly record struct KvChange
{
    /// <summary>What happened.</summary>
    public KvChangeKind Kind { get; init; }

    /// <summary>The key; empty where the change is not of one key.</summary>
    public string Key { get; init; }

    /// <summary>The revision of the change: a watch that begins anew with it as <see cref="KvWatchOptions.AfterRevision"/> misses nothing.</summary>
    public long Revision { get; init; }

    /// <summary>The entry after the change; it does not exist where the kind is not <see cref="KvChangeKind.Put"/>.</summary>
    public KvValue Value { get; init; }
}

/// <summary>What a change is.</summary>
public enum KvChangeKind
{
    /// <summary>The entry is new, or was written, or was touched.</summary>
    Put,

    /// <summary>The entry was deleted.</summary>
    Delete,

    /// <summary>The entry has expired.</summary>
    Expire,

    /// <summary>The entry had to leave because the namespace has a budget for memory.</summary>
    Evict,

    /// <summary>A mark: every entry that was there at the beginning has been shown.</summary>
    Current,

    /// <summary>What was shown before may be wrong: forget it. Every entry follows, and then <see cref="Current"/>.</summary>
    Reset,
}
