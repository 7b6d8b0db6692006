namespace KvStore;

/// <summary>The outcome of one write in one region other than its own.</summary>
/// <param name="Key">The key.</param>
/// <param name="From">The region where the write was made.</param>
/// <param name="To">The region that received the write.</param>
/// <param name="Revision">The revision of the write, counted from the opening of the namespace. Of two writes to a key the later has the higher one.</param>
/// <param name="IsDelete">Whether the write was a delete.</param>
/// <param name="Outcome">The outcome.</param>
/// <param name="WrittenAt">When the write was made, by the clock of the namespace, without skew.</param>
/// <param name="HeardAt">When the write became visible in the region, or was superseded there.</param>
public sealed record KvReplicationEvent(
    string Key,
    string From,
    string To,
    long Revision,
    bool IsDelete,
    KvReplicationOutcome Outcome,
    DateTimeOffset WrittenAt,
    DateTimeOffset HeardAt)
{
    /// <summary>The time from the write to its outcome in this region.</summary>
    public TimeSpan Lag => HeardAt - WrittenAt;
}
