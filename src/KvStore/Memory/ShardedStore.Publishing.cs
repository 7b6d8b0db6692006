using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Watching;

namespace KvStore.Memory;

/// <content>
/// Every mutation is a draft (a record, or the tombstone of a deleted key) that <see cref="Publish"/> makes the newest of its key.
/// A delete that no older mutation can follow needs no draft: <see cref="Remove"/>.
/// </content>
internal sealed partial class ShardedStore
{
    private readonly int _newKeysPerShardMax;

    private long _revision;
    private long _arrivedThrough = long.MaxValue;

    /// <summary>The highest revision that was given here, or seen on a mutation from elsewhere.</summary>
    public long Revision => Volatile.Read(ref _revision);

    /// <summary>
    /// Every mutation from elsewhere up to this revision has arrived. <see cref="long.MaxValue"/> while all mutations are made here.
    /// </summary>
    public long ArrivedThrough => Volatile.Read(ref _arrivedThrough);

    /// <summary>Whether mutations may arrive that are older than those that are made here, so that a deleted or expired key needs a tombstone.</summary>
    public bool ExpectsLate => ArrivedThrough != long.MaxValue;

    /// <summary>A record with its header and key, for its metadata and value to be filled in. Publish or abandon it, once.</summary>
    public RecordDraft Draft<TKey>(in TKey key, int metadataBytes, int valueBytes, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        // Publishing looks for the key under a lock, across which the processor overlaps nothing. So the cache lines that the
        // probe will touch are fetched here, and arrive while the record is written.
        var keyBytes = key.Utf8Bytes;
        _index.PrefetchBucket(key.Hash);
        var size = Record.SizeFor(keyBytes, metadataBytes, valueBytes);
        var draft = _eviction is null ? _segments.Reserve(size) : _segments.Reserve(size, _eviction.QueueOf(key.Hash));
        draft.Record.Initialize(keyBytes, metadataBytes, valueBytes, deadline);
        key.CopyTo(draft.Record.DraftKey);
        _index.PrefetchRecord(key.Hash, keyBytes);
        if (!deadline.IsNone)
        {
            draft.Segment.NoteDeadline(deadline.EarliestSecond);
        }

        return draft;
    }

    /// <summary>A draft whose value is kept outside memory. The draft owns the value from now on: see <see cref="Abandon"/>.</summary>
    public RecordDraft Draft<TKey>(in TKey key, int metadataBytes, KvValueReference value, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        var draft = Draft(key, metadataBytes, Record.ReferenceBytes, deadline);
        draft.Record.SetLargeValue(value);
        return draft;
    }

    /// <summary>A draft of the entry that a record has, with another deadline. A large value has one more owner from now on.</summary>
    public RecordDraft DraftTouched(Record record, Deadline deadline)
    {
        var largeValue = record.LargeValue;
        if (!largeValue.IsNone)
        {
            _shareLargeValue?.Invoke(largeValue);
        }

        RecordDraft draft;
        try
        {
            draft = _segments.Reserve(record.SizeInSegment);
        }
        catch
        {
            if (!largeValue.IsNone)
            {
                _releaseLargeValue?.Invoke(largeValue);
            }

            throw;
        }

        draft.Record.CopyFrom(record);
        draft.Record.SetDeadline(deadline);
        if (!deadline.IsNone)
        {
            draft.Segment.NoteDeadline(deadline.EarliestSecond);
        }

        return draft;
    }

    /// <summary>
    /// Gives an entry that was recovered another deadline, if it has a revision of at most <paramref name="touchedRevision"/>. Requires:
    /// nobody reads yet, and no background work is going on, because the record changes in its place.
    /// </summary>
    public void RecoverTouch<TKey>(in TKey key, long revision, long touchedRevision, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(ExpectsLate && touchedRevision < revision);
        ContinueAfter(revision);
        var shard = ShardOf(key.Hash);
        lock (shard.Lock)
        {
            shard.RecoverTouchHoldingLock(key, revision, touchedRevision, deadline);
        }
    }

    /// <summary>A draft that deletes a key.</summary>
    public RecordDraft DraftTombstone<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        var draft = Draft(key, metadataBytes: 0, valueBytes: 0, deadline: default);
        draft.Record.MarkTombstone();
        return draft;
    }

    /// <summary>Gives up a draft that was not published, and releases its large value if it has one.</summary>
    public void Abandon(in RecordDraft draft)
    {
        if (draft.Record.LargeValue is { IsNone: false } largeValue)
        {
            _releaseLargeValue?.Invoke(largeValue);
        }

        draft.Discard();
    }

    /// <summary>Whether an engine gives the revisions, so that none is taken here.</summary>
    public bool HasForeignRevisions { get; set; }

    // A removal that is no mutation has no revision of its own where an engine gives them. Then it has the highest that was seen.
    private long RevisionOfRemoval() => HasForeignRevisions ? Revision : TakeRevision();

    /// <summary>Takes the next revision, which is higher than any before.</summary>
    public long TakeRevision() => Interlocked.Increment(ref _revision);

    /// <summary>Makes every revision that is taken from now on higher than this one.</summary>
    public void ContinueAfter(long revision)
    {
        var highest = Volatile.Read(ref _revision);
        while (revision > highest)
        {
            highest = Interlocked.CompareExchange(ref _revision, revision, highest) is var seen && seen == highest ? revision : seen;
        }

        Debug.Assert(Revision >= revision, "Revisions only grow.");
    }

    /// <summary>
    /// Mutations arrive from elsewhere from now on, of which everything up to a revision has arrived: it arrives no more. Until
    /// <see cref="ExpectNoLate"/>, deleted and expired keys keep a tombstone. Call it before the first one arrives, and again
    /// with a higher revision; not while mutations up to that revision are being applied.
    /// </summary>
    public void ExpectLate(long arrivedThrough)
    {
        Debug.Assert(!ExpectsLate || arrivedThrough >= ArrivedThrough, "What has arrived only grows.");
        Volatile.Write(ref _arrivedThrough, arrivedThrough);
    }

    /// <summary>Mutations arrive from elsewhere no more.</summary>
    public void ExpectNoLate() => Volatile.Write(ref _arrivedThrough, long.MaxValue);

    /// <summary>Makes a draft the newest record or tombstone of its key, unless the key has a newer one.</summary>
    /// <param name="key">The key that the draft was made for.</param>
    /// <param name="draft">The draft.</param>
    /// <param name="revision">The revision of the mutation; 0 to take the next one.</param>
    /// <param name="observer">Decides whether the draft becomes the newest, and is notified of it; null where nothing observes.</param>
    /// <param name="ownsRepeat">Whether the draft owns its large value also when it is this mutation again; otherwise the record in the index owns it.</param>
    /// <returns>False when the key has a newer record, or this mutation already, or the observer refuses; the draft is then abandoned.</returns>
    // In the code of its callers too much comes together, and the compiler stops inlining the accessors of records: 15 % of an overwrite.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool Publish<TKey>(
        in TKey key, in RecordDraft draft, long revision = 0, PublicationObserver? observer = null, bool ownsRepeat = false)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        bool isNewest;
        var isRepeat = false;
        lock (shard.Lock)
        {
            draft.Record.SetRevision(Number(revision));
            isNewest = IsAboveFloorHoldingLock(shard, key, draft)
                && (observer is null || IsAdmittedHoldingLock(observer, key, draft, isNumbered: revision != 0))
                && shard.PublishHoldingLock(key, draft, out isRepeat);
            if (isNewest && (Changes.IsWatched || draft.Record.IsTombstone))
            {
                NotePublishedHoldingLock(shard, draft.Record, key.Hash, shard.Replaced);
            }
        }

        if (!isNewest)
        {
            if (isRepeat && !ownsRepeat)
            {
                // The record of the same mutation is in the index, and owns the large value.
                draft.Discard();
            }
            else
            {
                Abandon(draft);
            }

            return false;
        }

        draft.Segment.Settle(draft.Record.SizeInSegment);
        _maintenance.NoteChange();
        if (shard.NewKeys.Count >= _newKeysPerShardMax)
        {
            _maintenance.RequestMerge();
        }

        return true;
    }

    /// <summary>
    /// Publishes a mutation from elsewhere, which has its revision. While a provider recovers, several records may refer to one large
    /// value, in any order, because an entry was touched: so the records are counted.
    /// </summary>
    public void PublishFromElsewhere<TKey>(in TKey key, in RecordDraft draft)
        where TKey : struct, IKey, allows ref struct
    {
        var largeValue = draft.Record.LargeValue;
        var isCounted = !largeValue.IsNone && _countLargeValue?.Invoke(largeValue) == true;
        try
        {
            Publish(key, draft, draft.Record.Revision, ownsRepeat: isCounted);
        }
        catch when (isCounted)
        {
            // The draft is published again.
            _releaseLargeValue?.Invoke(largeValue);
            throw;
        }
    }

    /// <summary>
    /// Deletes a key without leaving a tombstone. Requires: no older mutation of the key can arrive, neither from elsewhere nor
    /// from those that wait for the disk.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision of the delete, or 0 to take the next one; afterwards the revision that it has.</param>
    /// <param name="observer">Decides whether the key is deleted, and is notified of it; null where nothing observes.</param>
    /// <returns>Whether the key had a value, and none any more.</returns>
    public bool Remove<TKey>(in TKey key, ref long revision, PublicationObserver? observer = null)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(!ExpectsLate, "An older put may still arrive; publish a tombstone.");
        var shard = ShardOf(key.Hash);
        lock (shard.Lock)
        {
            var isNumbered = revision != 0;
            revision = Number(revision);
            if (observer is not null && !IsDeleteAdmittedHoldingLock(observer, key, revision, isNumbered))
            {
                return false;
            }

            if (!shard.TryRemoveHoldingLock(key, out var record))
            {
                return false;
            }

            Debug.Assert(record.Revision < revision, "A delete that leaves no tombstone is the newest mutation.");
            _maintenance.NoteChange();
            var hasExpired = _clock.HasPassed(record.Deadline);
            NoteRemovalHoldingLock(
                new KeyChange(record.Key, key.Hash, record.Revision, revision, hasExpired ? KvChangeKind.Expire : KvChangeKind.Delete));
            return !hasExpired;
        }
    }

    /// <summary>Whether the index has an entry for a key: a value, which may have expired, or a tombstone.</summary>
    public bool Knows<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => _index.TryFind(key, out _, out _);

    /// <summary>The revision of the value or tombstone that the index has for a key; 0 for neither.</summary>
    public long RevisionOf<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => _index.TryFind(key, out var record, out _) ? record.Revision : 0;

    /// <summary>Whether an entry with this deadline has expired.</summary>
    public bool HasPassed(Deadline deadline) => _clock.HasPassed(deadline);

    // Under the lock, so that what is published before the floor is raised is found by the walk that follows.
    private bool IsAboveFloorHoldingLock<TKey>(Shard shard, in TKey key, in RecordDraft draft)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(shard.Lock.IsHeldByCurrentThread);
        if (!IsBelowFloor(draft.Record.Revision))
        {
            return true;
        }

        RemoveOlderHoldingLock(shard, key, draft.Record.Revision);
        return false;
    }

    private bool IsAdmittedHoldingLock<TKey>(PublicationObserver observer, in TKey key, in RecordDraft draft, bool isNumbered)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(ShardOf(key.Hash).Lock.IsHeldByCurrentThread);
        var after = draft.Record;
        return IsAdmittedHoldingLock(observer, key, after.Key, after.IsTombstone ? default : after, after.Revision, isNumbered);
    }

    private bool IsDeleteAdmittedHoldingLock<TKey>(PublicationObserver observer, in TKey key, long revision, bool isNumbered)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(ShardOf(key.Hash).Lock.IsHeldByCurrentThread);
        Span<byte> utf8 = stackalloc byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        return IsAdmittedHoldingLock(observer, key, utf8, after: default, revision, isNumbered);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool IsAdmittedHoldingLock<TKey>(
        PublicationObserver observer, in TKey key, ReadOnlySpan<byte> utf8, Record after, long revision, bool isNumbered)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(ShardOf(key.Hash).Lock.IsHeldByCurrentThread);
        var isThere = _index.TryFind(key, out var before, out var entry);
        var hasValue = isThere && (entry & HashEntry.TombstoneBit) == 0;
        var isNewest = !isThere || before.Revision < revision;
        try
        {
            return observer.OnPublishing(utf8, key.Hash, hasValue ? before : default, after, revision, isNewest);
        }
        catch (OutOfMemoryException) when (isNumbered)
        {
            // The mutation is durable already, so it must be published. Regions that could not be notified see it at once.
            return isNewest;
        }
    }

    private long Number(long revision)
    {
        if (revision == 0)
        {
            return TakeRevision();
        }

        ContinueAfter(revision);
        return revision;
    }
}
