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

    /// <summary>The bytes that eviction keeps free.</summary>
    public long FreeBytes => Math.Max(BytesMax / FreeShare, 2L * SegmentSizes.Most);
}
