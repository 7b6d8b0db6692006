using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Log-structured memory: immutable records in segments, found through a hash index of words and an ordered index of
/// addresses. The newest state of a namespace lives here, once.
/// </summary>
/// <remarks>
/// <para>Every mutation has a revision, and the highest one of a key wins, in whatever order they arrive. A mutation that
/// is numbered here, under the lock of its shard, is always the newest. One that brings its number along may be late; so a
/// delete that brings its number leaves a tombstone, until <see cref="ForgetTombstones"/> is told that nothing older can
/// arrive any more.</para>
/// <para>Thread safety: all members, from any thread. Reads take no lock. Writes take the lock of one of 64 shards, for the
/// few instructions that publish them.</para>
/// </remarks>
internal sealed partial class ShardedStore : IDisposable
{
    private const int NewKeysPerShardMax = 512;

    private readonly CoarseClock _clock;
    private readonly SegmentTable _segments;
    private readonly HashIndex _index;
    private readonly OrderedIndex _ordered;
    private readonly Shard[] _shards = new Shard[HashIndex.ShardCount];
    private readonly Maintenance _maintenance;
    private long _revision;
    private long _expiredCount;

    /// <param name="clock">What second it is.</param>
    /// <param name="timeProvider">What the background work is timed by.</param>
    /// <param name="onMaintenanceFailure">Told of what fails there; what is not done then is tried again.</param>
    /// <param name="firstSegment">The number of the first segment: they come around some day, and nobody can wait for it.</param>
    /// <param name="name">The namespace, for the exception of whoever comes after <see cref="Dispose"/>.</param>
    public ShardedStore(
        CoarseClock clock, TimeProvider timeProvider, Action<Exception>? onMaintenanceFailure = null, int firstSegment = 1, string name = "")
    {
        _clock = clock;
        _segments = new SegmentTable(firstSegment);
        _index = new HashIndex(_segments, name);
        for (var i = 0; i < _shards.Length; i++)
        {
            _shards[i] = new Shard(i, _segments, _index, name);
        }

        _ordered = new OrderedIndex(_segments, _index, _shards, clock, name);
        _maintenance = new Maintenance(this, clock, timeProvider, onMaintenanceFailure);
        _segments.SegmentAdded += _maintenance.RequestCleaning;
    }

    /// <summary>The number of entries, among them those that have expired since the last sweep.</summary>
    public long Count
    {
        get
        {
            var count = 0L;
            foreach (var shard in _shards)
            {
                count += shard.Live;
            }

            return count;
        }
    }

    /// <summary>How many entries were removed because they had expired.</summary>
    public long ExpiredCount => Volatile.Read(ref _expiredCount);

    /// <summary>The bytes of records and indexes: live ones, dead ones that have not been cleaned yet, and room not yet used.</summary>
    public long MemoryBytes => _segments.Bytes + _index.Bytes + _ordered.Bytes;

    /// <summary>How many deletes are remembered, so that older puts lose against them.</summary>
    public long TombstoneCount
    {
        get
        {
            var count = 0L;
            foreach (var shard in _shards)
            {
                count += shard.Tombstones;
            }

            return count;
        }
    }

    /// <summary>The bytes of all live records, about.</summary>
    public long LiveBytes => _segments.LiveBytes;

    /// <summary>
    /// Called once for each record whose value is kept outside memory and that will not be found any more: overwritten,
    /// deleted, expired, or too late to be published. Under the lock of a shard, so it must be quick and not come back.
    /// </summary>
    public Action<KvValueReference>? LargeValueGone
    {
        get => _shards[0].LargeValueGone;
        set
        {
            foreach (var shard in _shards)
            {
                shard.LargeValueGone = value;
            }
        }
    }

    /// <summary>The highest revision given or seen.</summary>
    public long Revision => Volatile.Read(ref _revision);

    internal SegmentTable Segments => _segments;

    internal OrderedIndex Ordered => _ordered;

    internal HashIndex Index => _index;

    /// <summary>Finds the newest record of a key that has a value which has not expired.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record)
        where TKey : struct, IKey, allows ref struct => TryFind(key, out record, out _);

    /// <summary>The same, with the word that led there.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct =>
        _index.TryFind(key, out record, out word)
            && (word & HashEntry.TombstoneBit) == 0
            && !_clock.HasPassed(record.Deadline);

    /// <summary>Fetches the words of a search to come, so that it need not wait for them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchWords(ulong hash) => _index.PrefetchWords(hash);

    /// <summary>Fetches the record of a search to come, once its words have arrived.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchRecord(ulong hash, int keyBytes) => _index.PrefetchRecord(hash, keyBytes);

    /// <summary>
    /// Finds the first keys in order that begin with a prefix and come after a key (empty: from the beginning), with their
    /// newest records.
    /// </summary>
    /// <returns>How many were found; fewer than there is room for only at the end.</returns>
    public int List(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, Span<Record> results)
    {
        var sink = new RecordSpanSink(results);
        List(prefix, after, ref sink);
        return sink.Count;
    }

    /// <summary>The same, into a sink, until that wants no more.</summary>
    public void List<TSink>(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, ref TSink sink)
        where TSink : struct, IRecordSink, allows ref struct
    {
        if (sink.Room > 0)
        {
            _ordered.List(prefix, after, ref sink);
        }
    }

    /// <summary>A record with its header and key, to be filled and then published or abandoned.</summary>
    public RecordDraft Draft<TKey>(in TKey key, int metadataBytes, int valueBytes, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        // Publishing will look for the key under a lock, across which the processor overlaps nothing: so what that touches is
        // asked for here, and comes while the record is written.
        var keyBytes = key.Utf8Bytes;
        _index.PrefetchWords(key.Hash);
        var draft = _segments.Reserve(Record.SizeFor(keyBytes, metadataBytes, valueBytes));
        draft.Record.Initialize(keyBytes, metadataBytes, valueBytes, deadline);
        key.CopyTo(draft.Record.DraftKey);
        _index.PrefetchRecord(key.Hash, keyBytes);
        if (!deadline.IsNone)
        {
            draft.Segment.NoteDeadline(deadline.EarliestSecond);
        }

        return draft;
    }

    /// <summary>Gives up a draft. Its room is dead from the start.</summary>
    public static void Abandon(in RecordDraft draft)
    {
        var bytes = draft.Record.SizeInSegment;
        draft.Record.MarkDead();
        draft.Segment.CountDead(bytes);
        draft.Segment.Settle(bytes);
    }

    /// <summary>A draft whose value is kept outside memory.</summary>
    public RecordDraft Draft<TKey>(in TKey key, int metadataBytes, KvValueReference value, Deadline deadline)
        where TKey : struct, IKey, allows ref struct
    {
        var draft = Draft(key, metadataBytes, Record.ReferenceBytes, deadline);
        draft.Record.SetLargeValue(value);
        return draft;
    }

    /// <summary>The number of the next mutation, higher than any before.</summary>
    public long TakeRevision() => Interlocked.Increment(ref _revision);

    /// <summary>Numbers what comes from now on higher than this.</summary>
    public void ContinueAfter(long revision) => _ = Number(revision);

    /// <summary>Makes room for so many keys, so that tables need not grow while they come.</summary>
    public void Prepare(long keys)
    {
        foreach (var shard in _shards)
        {
            lock (shard.Gate)
            {
                shard.PrepareHoldingLock((int)Math.Min(keys / _shards.Length, int.MaxValue / 4));
            }
        }
    }

    /// <summary>Makes a draft the newest record of its key.</summary>
    /// <param name="key">The key that the draft was made for.</param>
    /// <param name="draft">The draft.</param>
    /// <param name="revision">The number of the mutation, or 0 for the next one.</param>
    /// <returns>False when the key has a newer record, or this very one; then the draft is given up.</returns>
    public bool Publish<TKey>(in TKey key, in RecordDraft draft, long revision = 0)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        bool isNewest;
        lock (shard.Gate)
        {
            draft.Record.SetRevision(Number(revision));
            isNewest = shard.PublishHoldingLock(key, draft, isTombstone: false);
        }

        return Settle(shard, draft, isNewest);
    }

    /// <summary>The same, heard of and decided by an observer. Apart, so that where nobody observes nothing is asked.</summary>
    public bool Publish<TKey>(in TKey key, in RecordDraft draft, long revision, PublicationObserver observer)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        bool isNewest;
        lock (shard.Gate)
        {
            draft.Record.SetRevision(Number(revision));
            var isAdmitted = IsAdmittedHoldingLock(observer, key, draft.Record.Key, draft.Record, draft.Record.Revision, isNumbered: revision != 0);
            isNewest = isAdmitted && shard.PublishHoldingLock(key, draft, isTombstone: false);
            if (!isAdmitted && draft.Record.LargeValue is { IsNone: false } refused)
            {
                shard.LargeValueGone?.Invoke(refused);
            }
        }

        return Settle(shard, draft, isNewest);
    }

    /// <summary>Deletes a key, as the newest mutation.</summary>
    /// <returns>Whether it had a value.</returns>
    public bool Delete<TKey>(in TKey key, PublicationObserver? observer = null)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        lock (shard.Gate)
        {
            var revision = Number(0);
            if (observer is not null && !IsDeleteAdmittedHoldingLock(observer, key, revision, isNumbered: false))
            {
                return false;
            }

            if (!shard.TryRemoveHoldingLock(key, out var record))
            {
                return false;
            }

            _maintenance.NoteChange();
            return !_clock.HasPassed(record.Deadline);
        }
    }

    /// <summary>Whether the index knows a key, be it by a value that has expired or by a tombstone.</summary>
    public bool Knows<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => _index.TryFind(key, out _, out _);

    /// <summary>Deletes a key by a mutation that has its number, and that an older put may still follow.</summary>
    /// <returns>False when the key has a newer record.</returns>
    public bool Delete<TKey>(in TKey key, long revision)
        where TKey : struct, IKey, allows ref struct =>
        PublishTombstone(key, Draft(key, metadataBytes: 0, valueBytes: 0, deadline: default), revision);

    /// <summary>The same, with a draft that has neither metadata nor value.</summary>
    public bool PublishTombstone<TKey>(in TKey key, in RecordDraft draft, long revision, PublicationObserver? observer = null)
        where TKey : struct, IKey, allows ref struct
    {
        var shard = ShardOf(key.Hash);
        bool isNewest;
        lock (shard.Gate)
        {
            draft.Record.SetRevision(Number(revision));
            isNewest = (observer is null || IsDeleteAdmittedHoldingLock(observer, key, draft.Record.Revision, isNumbered: revision != 0))
                && shard.PublishHoldingLock(key, draft, isTombstone: true);
        }

        return Settle(shard, draft, isNewest);
    }

    /// <summary>
    /// The same for a put or a delete whose draft has its number already, while <see cref="HoldMaintenance"/> is in force and
    /// until <see cref="ContinueAfter"/> is told of the numbers.
    /// </summary>
    public bool PublishNumbered(in Utf8Key key, in RecordDraft draft, bool isTombstone)
    {
        var shard = ShardOf(key.Hash);
        bool isNewest;
        lock (shard.Gate)
        {
            isNewest = shard.PublishHoldingLock(key, draft, isTombstone);
        }

        return Settle(shard, draft, isNewest);
    }

    /// <summary>
    /// Frees the memory. Views that were handed out keep their bytes. Every read and write that comes later, or meanwhile, throws
    /// <see cref="ObjectDisposedException"/>; none finds that a key does not exist because of this.
    /// </summary>
    public void Dispose()
    {
        _maintenance.Dispose();
        _ordered.Close();
        foreach (var shard in _shards)
        {
            lock (shard.Gate)
            {
                shard.CloseHoldingLock();
            }
        }

        _segments.Clear();
    }

    private bool Settle(Shard shard, in RecordDraft draft, bool isNewest)
    {
        if (!isNewest)
        {
            Abandon(draft);
            return false;
        }

        draft.Segment.Settle(draft.Record.SizeInSegment);
        _maintenance.NoteChange();
        if (shard.NewKeyCount >= NewKeysPerShardMax)
        {
            _maintenance.RequestMerge();
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool IsDeleteAdmittedHoldingLock<TKey>(PublicationObserver observer, in TKey key, long revision, bool isNumbered)
        where TKey : struct, IKey, allows ref struct
    {
        Span<byte> utf8 = stackalloc byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        return IsAdmittedHoldingLock(observer, key, utf8, after: default, revision, isNumbered);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool IsAdmittedHoldingLock<TKey>(
        PublicationObserver observer, in TKey key, ReadOnlySpan<byte> utf8, Record after, long revision, bool isNumbered)
        where TKey : struct, IKey, allows ref struct
    {
        var isThere = _index.TryFind(key, out var before, out var word);
        var hasValue = isThere && (word & HashEntry.TombstoneBit) == 0;
        var isNewest = !isThere || before.Revision < revision;
        try
        {
            return observer.OnPublishing(utf8, key.Hash, hasValue ? before : default, after, revision, isNewest);
        }
        catch (OutOfMemoryException) when (isNumbered)
        {
            // It is durable already, whether regions can be told or not: those that were not see it at once.
            return isNewest;
        }
    }

    private Shard ShardOf(ulong hash) => _shards[HashIndex.ShardOf(hash)];

    private long Number(long revision)
    {
        if (revision == 0)
        {
            return Interlocked.Increment(ref _revision);
        }

        // The next one given here must be higher than any seen.
        var highest = Volatile.Read(ref _revision);
        while (revision > highest)
        {
            highest = Interlocked.CompareExchange(ref _revision, revision, highest) is var seen && seen == highest ? revision : seen;
        }

        return revision;
    }
}
