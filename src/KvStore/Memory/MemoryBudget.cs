using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>A budget for memory, and what follows from it for the parts of a store.</summary>
/// <param name="bytesMax">The bytes; null for no limit.</param>
internal sealed class MemoryBudget(long? bytesMax)
{
    private const int NewKeysPerShardDefault = 512;
    private const int NewKeysPerShardMin = 32;
    private const int SortedKeysMin = 512;

    // Keys that wait for the ordered index take up less than a sixteenth of the budget.
    private const int BytesPerNewKey = 16 * 1024;

    // A key that is sorted takes 32 bytes meanwhile: so sorting takes up a sixty-fourth of the budget.
    private const int BytesPerSortedKey = 2048;

    // A key with its index entries hardly takes less.
    private const int BytesPerKey = 64;

    // Memory that is kept free, so that puts rarely evict: one part in so many.
    private const int FreeShare = 64;

    private const int MovedShare = 32;

    // Room for two of the longest keys.
    private const int RemovedBytesOfShardLeast = 1152;
    private const int RemovedBytesOfShardDefault = 2048;
    private const int BytesPerRemovedByte = 1024;

    /// <summary>Whether memory is limited.</summary>
    public bool IsLimited => bytesMax is not null;

    /// <summary>The bytes; <see cref="long.MaxValue"/> for no limit.</summary>
    public long BytesMax { get; } = bytesMax ?? long.MaxValue;

    /// <summary>The sizes of segments.</summary>
    public SegmentSizes SegmentSizes { get; } = bytesMax is { } bytes ? SegmentSizes.Within(bytes) : SegmentSizes.Unlimited;

    /// <summary>How many keys of a shard may wait for the ordered index.</summary>
    public int NewKeysPerShardMax => (int)Math.Clamp(BytesMax / BytesPerNewKey, NewKeysPerShardMin, NewKeysPerShardDefault);

    /// <summary>About how many keys are sorted at once.</summary>
    public int SortedKeysMax => (int)Math.Clamp(BytesMax / BytesPerSortedKey, SortedKeysMin, int.MaxValue);

    /// <summary>The most keys that there can be.</summary>
    public long KeysMax => BytesMax / BytesPerKey;

    /// <summary>
    /// The bytes of live records that cleaning copies before it gives segments back: they are in memory twice meanwhile. A step needs a pass
    /// over the ordered index, so it is not smaller than it need be.
    /// </summary>
    public long BytesMovedAtOnceMax => IsLimited ? Math.Max(SegmentSizes.Most, BytesMax / MovedShare) : long.MaxValue;

    /// <summary>The least bytes in which a shard remembers keys that were removed: all shards a sixteenth of the budget, where that is enough.</summary>
    public int RemovedBytesOfShardMin => (int)Math.Clamp(BytesMax / BytesPerRemovedByte, RemovedBytesOfShardLeast, RemovedBytesOfShardDefault);

    /// <summary>The bytes that eviction keeps free.</summary>
    public long FreeBytes => Math.Max(BytesMax / FreeShare, 2L * SegmentSizes.Most);
}
