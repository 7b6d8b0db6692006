namespace KvStore;

/// <summary>What became of a mutation in a region.</summary>
public enum KvReplicationOutcome
{
    /// <summary>It arrived, and is what the region sees of the key.</summary>
    Visible,

    /// <summary>The region has seen a newer one before this one arrived: it never sees it.</summary>
    Superseded,
}
