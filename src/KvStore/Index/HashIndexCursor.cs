namespace KvStore.Index;

/// <summary>How far a walk over the tables of all shards has come.</summary>
/// <param name="Shard">The shard.</param>
/// <param name="Slot">The next slot in its table.</param>
/// <param name="EntryCount">The size of the table that the slot is in; 0 before any.</param>
/// <param name="Table">The number of that table among the tables of the shard.</param>
internal readonly record struct HashIndexCursor(int Shard, int Slot, int EntryCount, int Table)
{
    /// <summary>Whether every table was walked.</summary>
    public bool IsEnd => Shard == HashIndex.ShardCount;
}
