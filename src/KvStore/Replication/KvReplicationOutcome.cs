namespace KvStore;

/// <summary>The outcome of a write in a region.</summary>
public enum KvReplicationOutcome
{
    /// <summary>The region received the write, and shows it.</summary>
    Visible,

    /// <summary>The region received a newer write of the key first, and never shows this one.</summary>
    Superseded,
}
