namespace KvStore.Order;

/// <summary>The keys of one shard, as the ordered index takes them. Every member takes the lock of the shard where it needs it.</summary>
internal interface IShardKeys
{
    /// <summary>The number of new keys that the ordered index has not taken. May be out of date.</summary>
    int NewKeyCount { get; }

    /// <summary>Whether new keys were lost for lack of memory, so that the order has to be rebuilt.</summary>
    bool HasLostNewKeys { get; }

    /// <summary>Moves the new keys to a batch.</summary>
    void MoveNewKeysTo(KeyBatch batch);

    /// <summary>Copies all keys to a batch, and forgets which are new.</summary>
    void CopyKeysTo(KeyBatch batch);
}
