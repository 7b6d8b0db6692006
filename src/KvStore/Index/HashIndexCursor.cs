using KvStore.Memory;

namespace KvStore.Index;

/// <summary>How far a walk over the tables of all shards has come.</summary>
/// <param name="Shard">The shard.</param>
/// <param name="Slot">The next slot in its table.</param>
/// <param name="WordCount">The size of the table that the slot is in; 0 before any.</param>
/// <param name="Table">Which of the shard's tables that is.</param>
internal readonly record struct HashIndexCursor(int Shard, int Slot, int WordCount, int Table)
{
    /// <summary>Whether everything was walked.</summary>
    public bool IsEnd => Shard == HashIndex.ShardCount;
}
