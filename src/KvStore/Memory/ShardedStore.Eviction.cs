using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <content>Eviction: entries leave so that others have room.</content>
internal sealed partial class ShardedStore
{
    private readonly EvictionPolicy? _eviction;
    private readonly Evictor? _evictor;
    private long _evictedCount;
    private bool _hasEvicted;

    /// <summary>Whether entries are evicted when memory runs short, so that reads count as uses.</summary>
    public bool Evicts => _eviction is not null;

    /// <summary>How many entries were evicted.</summary>
    public long EvictedCount => Volatile.Read(ref _evictedCount);

    /// <summary>Whether entries may have been evicted. Looked at after a key was not found, it is true when the key was one of them.</summary>
    public bool HasEvicted => Volatile.Read(ref _hasEvicted);

    /// <summary>
    /// Makes evictions durable, and calls <see cref="TryEvict"/> for each. Null where the namespace lives in memory alone. Set before
    /// anything is published.
    /// </summary>
    public EvictEntries? EvictDurably { get; set; }

    /// <summary>Counts a use of a record, where entries are evicted.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void NoteUse(Record record)
    {
        if (_eviction is not null)
        {
            record.CountUse();
        }
    }

    /// <summary>Whether the index leads to the record of a candidate, and so the entry has not changed since it was chosen.</summary>
    public bool IsCurrent(in EvictionCandidate candidate)
    {
        var shard = ShardOf(candidate.Hash);
        lock (shard.Lock)
        {
            return _index.SlotOfAddressHoldingLock(candidate.Hash, candidate.Address) >= 0;
        }
    }

    /// <summary>Removes an entry, if it has not changed since it was chosen. Requires: no older mutation of the key can arrive, or the store expects it.</summary>
    /// <param name="candidate">The entry.</param>
    /// <param name="queue">The queue that it leaves.</param>
    /// <param name="revision">The revision of its delete; 0 to take the next one.</param>
    /// <returns>Whether it was removed. Watchers are then notified.</returns>
    public bool TryEvict(in EvictionCandidate candidate, SegmentQueue queue, long revision = 0)
    {
        Volatile.Write(ref _hasEvicted, true);
        if (!(ExpectsLate
            ? TryBury(candidate.Record, candidate.Hash, candidate.Address, KvChangeKind.Evict)
            : TryRemove(candidate.Record, candidate.Hash, candidate.Address, KvChangeKind.Evict, revision)))
        {
            return false;
        }

        Interlocked.Increment(ref _evictedCount);
        _eviction!.NoteEvicted(candidate.Hash, queue);
        return true;
    }

    private void Evict(List<EvictionCandidate> candidates, SegmentQueue queue)
    {
        for (var i = candidates.Count - 1; i >= 0; i--)
        {
            var candidate = candidates[i];
            if (_clock.HasPassed(candidate.Record.Deadline))
            {
                RemoveExpired(candidate.Record, candidate.Address);
                candidates.RemoveAt(i);
            }
        }

        if (EvictDurably is { } evictDurably)
        {
            evictDurably(candidates, queue);
            return;
        }

        foreach (ref readonly var candidate in CollectionsMarshal.AsSpan(candidates))
        {
            TryEvict(candidate, queue);
        }
    }

    // Mutations that are recovered arrive in any order, so an older one could bring an evicted key back: see the floor.
    private bool EvictSome(bool isForced) => ExpectsLate ? RaiseFloor() : _evictor!.Run(isForced);

    // How much more than that is used should be free.
    private long BytesToEvict() => MemoryBytes + BytesToAdd + _budget.FreeBytes - _budget.BytesMax;
}
