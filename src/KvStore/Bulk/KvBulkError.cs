namespace KvStore;

/// <summary>An entry of a bulk file that was refused.</summary>
/// <param name="Index">Which entry of the file, counted from 0.</param>
/// <param name="Key">Its key, if it has one that can be read.</param>
/// <param name="Reason">What was wrong and what is allowed.</param>
public sealed record KvBulkError(long Index, string? Key, string Reason);
