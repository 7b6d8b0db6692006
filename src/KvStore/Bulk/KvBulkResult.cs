namespace KvStore;

/// <summary>What became of a bulk file.</summary>
/// <param name="Imported">How many entries were put.</param>
/// <param name="ErrorCount">How many entries were refused.</param>
/// <param name="Errors">The first 1,000 of those that were refused, in the order of the file.</param>
public sealed record KvBulkResult(long Imported, long ErrorCount, IReadOnlyList<KvBulkError> Errors);
