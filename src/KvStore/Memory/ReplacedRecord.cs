using KvStore.Records;

namespace KvStore.Memory;

/// <summary>What is left to know of a record that is replaced; none by default.</summary>
/// <param name="Revision">Its revision; 0 when the key had no record.</param>
/// <param name="Deadline">When it expires.</param>
/// <param name="IsValue">Whether it was a value, and not a tombstone or nothing.</param>
internal readonly record struct ReplacedRecord(long Revision, Deadline Deadline, bool IsValue);
