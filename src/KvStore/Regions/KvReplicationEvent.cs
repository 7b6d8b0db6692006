namespace KvStore;

/// <summary>What became of one mutation in one region other than its own.</summary>
/// <param name="Key">The key.</param>
/// <param name="From">The region where the mutation was made.</param>
/// <param name="To">The region that this is about.</param>
/// <param name="Revision">The number of the mutation: of two that were made with clocks that agree, the later one has the higher number.</param>
/// <param name="IsDelete">Whether it was a delete.</param>
/// <param name="Outcome">What became of it.</param>
/// <param name="WrittenAt">When it was made, by the right clock.</param>
/// <param name="HeardAt">When it became visible there, or when it was known there that it never would.</param>
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
    /// <summary>How long the region did not know of it.</summary>
    public TimeSpan Lag => HeardAt - WrittenAt;
}
