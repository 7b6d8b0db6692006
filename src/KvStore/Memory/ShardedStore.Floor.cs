using System.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;
using KvStore.Watching;

namespace KvStore.Memory;

/// <content>
/// Recovery of a namespace that is larger than its budget: the entries that were written last stay.
/// </content>
/// <remarks>
/// Mutations are recovered in any order, so of an evicted key an older put may still arrive, and remembering all evicted keys would take the
/// memory that there is none of. So a revision is the floor: no mutation below it becomes visible any more. What is below it and in
/// memory is removed. A mutation below the floor that arrives removes what its key has, if that is older still. So a key has its newest
/// mutation, or nothing.
/// </remarks>
internal sealed partial class ShardedStore
{
    private long _floor;

    /// <summary>Makes room for a segment of mutations that are recovered.</summary>
    public void MakeRoomForRecovery(int recordBytes)
    {
        var bytes = (long)Math.Max(recordBytes, _segments.Sizes.Most);
        if (HasBudget && !HasRoom(bytes))
        {
            // Without room recovery goes on: nothing that was stored is refused.
            _maintenance.MakeRoom<long>(HasRoom, bytes);
        }
    }

    /// <summary>
    /// Takes a mutation that is below the floor: removes what its key has, if that is older. Requires: a mutation is recovered.
    /// </summary>
    /// <returns>False when the mutation is not below the floor, and has to be published.</returns>
    public bool TryPassBelowFloor<TKey>(in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct
    {
        if (!IsBelowFloor(revision))
        {
            return false;
        }

        var shard = ShardOf(key.Hash);
        lock (shard.Lock)
        {
            RemoveOlderHoldingLock(shard, key, revision);
        }

        return true;
    }

    /// <summary>Removes what a key has, if that is older than a revision. Requires: no older mutation of the key arrives any more.</summary>
    public void RemoveOlder<TKey>(in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        lock (shard.Lock)
        {
            TryRemoveOlderHoldingLock(shard, key, revision);
        }
    }

    /// <summary>
    /// Removes the value of a key, if it is not newer than a revision, and shows watchers a delete, because the key is gone where its
    /// mutations come from. Requires: no mutation of the key that is older arrives any more.
    /// </summary>
    public void RemoveUnknown<TKey>(in TKey key, long throughRevision)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        lock (shard.Lock)
        {
            if (shard.TryRemoveThroughHoldingLock(key, throughRevision, out var record))
            {
                NoteUnknownHoldingLock(record, key.Hash);
            }
        }
    }

    private void NoteUnknownHoldingLock(Record record, ulong hash) =>
        NoteRemovalHoldingLock(new KeyChange(record.Key, hash, record.Revision, RevisionOfRemoval(), KvChangeKind.Delete));

    private bool IsBelowFloor(long revision) => revision < Volatile.Read(ref _floor);

    private void RemoveOlderHoldingLock<TKey>(Shard shard, in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(shard.Lock.IsHeldByCurrentThread);
        Volatile.Write(ref _hasEvicted, true);
        if (TryRemoveOlderHoldingLock(shard, key, revision))
        {
            Interlocked.Increment(ref _evictedCount);
        }
    }

    // Whether the key had an older value.
    private bool TryRemoveOlderHoldingLock<TKey>(Shard shard, in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(shard.Lock.IsHeldByCurrentThread);
        return _index.TryFind(key, out var present, out _) && present.Revision < revision && shard.TryRemoveHoldingLock(key, out _);
    }

    // One at a time, because the background work has one lock. Returns whether anything was removed.
    private bool RaiseFloor()
    {
        // A namespace that used up its budget before has as much again, and dead bytes besides, which evicting more entries would not spare.
        const int SegmentsBeyond = 3;

        // One part in so many of the live bytes is removed at once.
        const int Share = 8;
        if (MemoryBytes + _ordered.BytesToAdd <= _budget.BytesMax + (SegmentsBeyond * (long)_segments.Sizes.Most))
        {
            return false;
        }

        var settled = _segments.ToList();
        settled.RemoveAll(static segment => !segment.IsSettled);
        var samples = Sample(settled);
        if (samples.Count == 0)
        {
            return false;
        }

        samples.Sort(static (x, y) => x.Revision.CompareTo(y.Revision));
        var total = samples.Sum(static sample => (long)sample.Bytes);
        var below = 0L;
        var next = 0;
        while (next < samples.Count && below * Share < total)
        {
            below += samples[next++].Bytes;
        }

        // In this order: what is published from now on is above the floor, and what was published before is found by the walk.
        Volatile.Write(ref _hasEvicted, true);
        Volatile.Write(ref _floor, Math.Max(_floor, samples[next - 1].Revision + 1));
        return RemoveBelowFloor(settled) > 0;
    }

    private List<(long Revision, int Bytes)> Sample(List<Segment> settled)
    {
        const int Samples = 4096;
        var step = Math.Max(1, Count / Samples);
        var samples = new List<(long Revision, int Bytes)>();
        var number = 0L;
        foreach (var segment in settled)
        {
            for (var offset = 0; offset < segment.EndBytes;)
            {
                var record = new Record(segment.Bytes, offset);
                var bytes = record.SizeInSegment;
                if (!record.IsDead && number++ % step == 0)
                {
                    samples.Add((record.Revision, bytes));
                }

                offset += bytes;
            }
        }

        return samples;
    }

    private long RemoveBelowFloor(List<Segment> settled)
    {
        var removed = 0L;
        foreach (var segment in settled)
        {
            for (var offset = 0; offset < segment.EndBytes;)
            {
                var record = new Record(segment.Bytes, offset);
                var isTombstone = record.IsTombstone;
                if (!record.IsDead && IsBelowFloor(record.Revision)
                    && TryRemove(record, KeyHash.OfUtf8(record.Key), RecordAddress.Of(segment.Id, offset), KvChangeKind.Evict))
                {
                    removed++;
                    _ = isTombstone ? 0 : Interlocked.Increment(ref _evictedCount);
                }

                offset += record.SizeInSegment;
            }
        }

        return removed;
    }
}
