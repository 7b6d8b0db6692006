using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Segments;
using KvStore.Watching;

namespace KvStore.Memory;

/// <content>What the background work asks of the store, and what it is asked.</content>
internal sealed partial class ShardedStore
{
    private long _removedBeforeRefresh;
    private bool _hasRemovedExpired;

    /// <summary>
    /// Whether entries may have been removed because they had expired. Looked at after a key was not found, it is true when the key
    /// was one of them.
    /// </summary>
    public bool HasRemovedExpired => Volatile.Read(ref _hasRemovedExpired);

    /// <summary>Puts background work off, while so much comes that it would only be in the way.</summary>
    public void HoldMaintenance() => _maintenance.Hold();

    /// <summary>Lets background work begin, with what was put off.</summary>
    public void ReleaseMaintenance() => _maintenance.Release();

    /// <summary>
    /// Finds the live records that a walk over the ordered index has not shown, by a walk over the tables. A table that is replaced
    /// meanwhile is walked again, so that a record may be found twice.
    /// </summary>
    /// <param name="shown">What was shown.</param>
    /// <param name="throughRevision">Newer records are not looked for.</param>
    /// <param name="cursor">Where to go on; the default to begin.</param>
    /// <param name="results">The records, and room for one at least.</param>
    /// <returns>How many were found; there may be more until the place is the end.</returns>
    public int FindOthers(ShownRecords shown, long throughRevision, ref HashIndexCursor cursor, Span<Record> results)
    {
        var count = 0;
        while (count < results.Length && !cursor.IsEnd)
        {
            var shard = _shards[cursor.Shard];
            lock (shard.Lock)
            {
                shard.FindOthersHoldingLock(shown, throughRevision, ref cursor, results, ref count, _clock);
            }
        }

        return count;
    }

    /// <summary>Whether a list shows the key of a record, whichever record the key has by now; or the key is gone.</summary>
    public bool IsListed(Record record)
    {
        var found = new Record[1];
        return (List(record.Key, after: default, found) == 1 && found[0].Key.SequenceEqual(record.Key)) || !TryFind(new Utf8Key(record.Key), out _);
    }

    /// <summary>Whether entries that have expired may still be counted.</summary>
    public bool HasExpired => _segments.NextDeadline <= _clock.NowSeconds;

    /// <summary>The bytes of keys, metadata and values, since <see cref="CountLiveBytes"/>.</summary>
    public long CountedLiveBytes
    {
        get
        {
            var bytes = 0L;
            foreach (var shard in _shards)
            {
                bytes += shard.LiveBytes;
            }

            return bytes;
        }
    }

    /// <summary>Counts the bytes of entries from now on. Before anything is published.</summary>
    public void CountLiveBytes()
    {
        foreach (var shard in _shards)
        {
            shard.CountsLiveBytes = true;
        }
    }

    /// <summary>Takes the memory for the words of so many new keys in the shard of a hash, while nobody else publishes new keys there.</summary>
    /// <exception cref="OutOfMemoryException">There is none; nothing has changed.</exception>
    public void ReserveIndex(ulong hash, int keys)
    {
        var shard = ShardOf(hash);
        lock (shard.Lock)
        {
            shard.ReserveHoldingLock(keys);
        }
    }

    /// <summary>Drops the tombstones up to a revision: no mutation older than that can arrive any more.</summary>
    public void ForgetTombstones(long throughRevision)
    {
        foreach (var shard in _shards)
        {
            lock (shard.Lock)
            {
                shard.ForgetTombstonesHoldingLock(throughRevision);
            }
        }
    }

    /// <summary>Removes a record that has expired, if it is still its key's newest.</summary>
    public bool RemoveExpired(Record record, long address)
    {
        Volatile.Write(ref _hasRemovedExpired, true);
        if (!TryRemoveRecord(record, address, KvChangeKind.Expire))
        {
            return false;
        }

        Interlocked.Increment(ref _expiredCount);
        return true;
    }

    /// <summary>Points a key's word at a copy of its record, if that is still the key's newest.</summary>
    public bool Relocate(Record record, long address, in RecordDraft copy)
    {
        var hash = KeyHash.OfUtf8(record.Key);
        var shard = ShardOf(hash);
        lock (shard.Lock)
        {
            return shard.TryRelocateHoldingLock(hash, address, copy);
        }
    }

    /// <summary>Gives back the room of tables that have become much too large.</summary>
    public void ShrinkTables()
    {
        foreach (var shard in _shards)
        {
            if (shard.IsSparse)
            {
                lock (shard.Lock)
                {
                    shard.ResizeHoldingLock();
                }
            }
        }
    }

    /// <summary>Drops the entries of removed keys from the ordered index, once they are many.</summary>
    public void RefreshOrdered()
    {
        var removed = 0L;
        foreach (var shard in _shards)
        {
            removed += shard.RemovedCount;
        }

        if (removed - _removedBeforeRefresh is var since && since > 1024 && since > _ordered.EntryCount / 4)
        {
            _removedBeforeRefresh = removed;
            _ordered.Refresh(concerns: null);
        }
    }

    private void TrimIndexes()
    {
        RefreshOrdered();
        ShrinkTables();
        TrimChanges();
    }

    // A removal that is no mutation has a revision all the same, so that watchers are shown every change in the order of the revisions.
    private bool TryRemoveRecord(Record record, long address, KvChangeKind kind)
    {
        var hash = KeyHash.OfUtf8(record.Key);
        return ExpectsLate ? TryBury(record, hash, address, kind) : TryRemove(record, hash, address, kind);
    }

    private bool TryRemove(Record record, ulong hash, long address, KvChangeKind kind, long revision = 0)
    {
        var shard = ShardOf(hash);
        lock (shard.Lock)
        {
            if (!shard.TryRemoveHoldingLock(hash, address))
            {
                return false;
            }

            NoteRemovalHoldingLock(new KeyChange(record.Key, hash, record.Revision, Number(revision), kind));
            return true;
        }
    }

    // An older put that arrives later must not bring the key back.
    private bool TryBury(Record record, ulong hash, long address, KvChangeKind kind)
    {
        var tombstone = DraftTombstone(new Utf8Key(record.Key, hash));
        tombstone.Record.SetRevision(record.Revision);
        var shard = ShardOf(hash);
        bool isBuried;
        lock (shard.Lock)
        {
            isBuried = shard.TryBuryHoldingLock(hash, address, tombstone);
            if (isBuried)
            {
                NoteRemovalHoldingLock(new KeyChange(record.Key, hash, record.Revision, RevisionOfRemoval(), kind));
            }
        }

        if (isBuried)
        {
            tombstone.Segment.Settle(tombstone.Record.SizeInSegment);
        }
        else
        {
            tombstone.Discard();
        }

        return isBuried;
    }
}
