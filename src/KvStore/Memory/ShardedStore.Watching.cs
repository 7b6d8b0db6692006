using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Records;
using KvStore.Watching;

namespace KvStore.Memory;

/// <content>What watchers need: each change is noted under the lock of its shard, and found again by hash and revision.</content>
internal sealed partial class ShardedStore
{
    // For the keys that were removed: a sixteenth of the memory for records, within bounds.
    private const int RemovedShare = 16;
    private const int RemovedBytesOfShardMax = 64 << 10;

    /// <summary>
    /// Revisions begin above one that no earlier process has shown to anybody, and removals are remembered from here on. Requires: no
    /// mutation is made meanwhile.
    /// </summary>
    public void BeginRevisionsAfter(long revision)
    {
        _maintenance.SkipMutations(Math.Max(0, revision - Revision));
        ContinueAfter(revision);
        FirstRevision = Revision;
        Changes.Begin(FirstRevision);
    }

    /// <summary>The revision above which those of mutations begin that are made since the opening.</summary>
    public long FirstRevision { get; private set; }

    /// <summary>
    /// Finds the record of a revision. Where the key has a newer one by now: that, or a newer one of another key with the same hash.
    /// </summary>
    public bool TryFindRevision(ulong hash, long revision, out Record record) => _index.TryFindRevision(hash, revision, out record);

    /// <summary>
    /// Waits until every mutation that has taken its revision under the lock of a shard is published, and was noted. The locks are held
    /// for a few instructions each time.
    /// </summary>
    public void PassShards()
    {
        foreach (var shard in _shards)
        {
            lock (shard.Lock)
            {
                // Who held it has published.
            }
        }
    }

    /// <summary>Adds the removals of some keys after a revision to a list.</summary>
    /// <returns>False when some may have been forgotten.</returns>
    public bool TryCollectRemovals(long afterRevision, WatchedKeys keys, List<PendingChange> destination)
    {
        for (var i = 0; i < _shards.Length; i++)
        {
            lock (_shards[i].Lock)
            {
                if (!Changes.TryCollectRemovals(i, afterRevision, keys, destination))
                {
                    return false;
                }
            }
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void NotePublishedHoldingLock(Shard shard, Record record, ulong hash, in ReplacedRecord replaced)
    {
        Debug.Assert(shard.Lock.IsHeldByCurrentThread);
        if (!record.IsTombstone)
        {
            Changes.NotePut(record.Key, hash, replaced.Revision, record.Revision);
        }
        else if (replaced.IsValue || IsOfUnknownValue(record))
        {
            var kind = _clock.HasPassed(replaced.Deadline) ? KvChangeKind.Expire : KvChangeKind.Delete;
            NoteRemovalHoldingLock(new KeyChange(record.Key, hash, replaced.Revision, record.Revision, kind));
        }
    }

    // An engine passes on only the newest version of a key, so a delete may arrive of a value that never did. A reader that another process has
    // shown the value may go on here, and must be shown the delete. The namespace has opened without what was deleted before.
    private bool IsOfUnknownValue(Record tombstone) => HasForeignRevisions && tombstone.Revision > FirstRevision;

    private void NoteRemovalHoldingLock(in KeyChange change)
    {
        var shard = HashIndex.ShardOf(change.Hash);
        Debug.Assert(_shards[shard].Lock.IsHeldByCurrentThread);
        Changes.NoteRemoval(shard, change, RemovedBytesOfShard);
    }

    private int RemovedBytesOfShard =>
        (int)Math.Clamp(_segments.Bytes / (RemovedShare * HashIndex.ShardCount), _budget.RemovedBytesOfShardMin, RemovedBytesOfShardMax);

    /// <summary>What remembering deletes may add to the memory: it is kept free, because a delete is never refused.</summary>
    public long RemovedBytesToAdd => Math.Max(
        0, Math.Min((long)RemovedBytesOfShard * _shards.Length, Count * RemovedKeys.BytesPerKeyMax) - Changes.Bytes);

    private void TrimChanges()
    {
        Changes.RemoveAbandoned();
        if (Changes.Bytes <= (long)RemovedBytesOfShard * _shards.Length)
        {
            return;
        }

        for (var i = 0; i < _shards.Length; i++)
        {
            lock (_shards[i].Lock)
            {
                Changes.TrimRemovals(i, RemovedBytesOfShard);
            }
        }
    }
}
