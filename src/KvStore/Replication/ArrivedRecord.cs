using KvStore.Records;

namespace KvStore.Replication;

/// <summary>What a region sees of a key: a record, and how to get at its value.</summary>
/// <param name="Record">The record; none where the key has no value.</param>
/// <param name="Word">Its word in the index; 0 when the engine has another record by now.</param>
/// <param name="Held">Its value, when that is kept outside memory and was held so that it stays readable; whoever asked for that disposes it.</param>
internal readonly record struct ArrivedRecord(Record Record, long Word, KvLargeValue? Held);
