namespace KvStore;

/// <summary>What to watch: see <see cref="IKvExtendedNamespace.WatchAsync"/>.</summary>
public sealed record KvWatchOptions
{
    /// <summary>Only keys that begin with this; null for all. Not together with <see cref="Key"/>.</summary>
    public string? Prefix { get; init; }

    /// <summary>Only this key; null for all. Not together with <see cref="Prefix"/>.</summary>
    public string? Key { get; init; }

    /// <summary>Whether entries that are there already are shown first. Default <see cref="KvWatchStart.Now"/>.</summary>
    public KvWatchStart Start { get; init; } = KvWatchStart.Now;

    /// <summary>
    /// Shows first what has changed since this revision, the <see cref="KvChange.Revision"/> of the last change that was seen; so a watch
    /// goes on after a reconnect or a restart. Where deletes since then may have been forgotten, the first change is
    /// <see cref="KvChangeKind.Reset"/>, and every entry follows. Not together with <see cref="Start"/>. Null to begin anew.
    /// </summary>
    public long? AfterRevision { get; init; }
}

/// <summary>Where a watch begins.</summary>
public enum KvWatchStart
{
    /// <summary>With the changes from now on.</summary>
    Now,

    /// <summary>With the entries that are there, in the order of their keys, then <see cref="KvChangeKind.Current"/>, then the changes; none is missed between.</summary>
    Current,
}
