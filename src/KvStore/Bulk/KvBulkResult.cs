namespace KvStore;

/// <summary>The result of an import.</summary>
/// <param name="Imported">How many entries were put.</param>
/// <param name="ErrorCount">How many entries were refused.</param>
/// <param name="Errors">The first 1,000 refused entries, in the order of the file.</param>
public sealed record KvBulkResult(long Imported, long ErrorCount, IReadOnlyList<KvBulkError> Errors);
