using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Order;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;
using KvStore.Watching;

namespace KvStore.Memory;

/// <summary>
/// Log-structured memory: immutable records in segments, found through a hash index of words and an ordered index of
/// addresses. The newest state of a namespace lives here, once.
/// </summary>
/// <remarks>
/// <para>Every mutation has a revision, and the highest revision of a key wins, in whatever order mutations arrive. A mutation
/// that takes its revision here, under the lock of its shard, is always the newest. One that has its revision already may be
/// late. So a delete leaves a tombstone where an older put can still arrive, until <see cref="ForgetTombstones"/>.</para>
/// <para>Thread safety: all members, from any thread. Reads take no lock. Writes take the lock of one of 64 shards, for the
/// few instructions that publish them.</para>
/// </remarks>
internal sealed partial class ShardedStore : IDisposable
{
    private readonly CoarseClock _clock;
    private readonly SegmentTable _segments;
    private readonly HashIndex _index;
    private readonly OrderedIndex _ordered;
    private readonly Shard[] _shards = new Shard[HashIndex.ShardCount];
    private readonly Maintenance _maintenance;
    private readonly Action<KvValueReference>? _releaseLargeValue;
    private readonly Action<KvValueReference>? _shareLargeValue;
    private readonly Func<KvValueReference, bool>? _countLargeValue;
    private long _expiredCount;

    /// <param name="clock">Decides whether entries have expired.</param>
    /// <param name="timeProvider">The timer of the background work.</param>
    /// <param name="onMaintenanceFailure">Called when background work fails; the work is tried again.</param>
    /// <param name="firstSegment">The number of the first segment: they come around some day, and nobody can wait for it.</param>
    /// <param name="name">The name of the namespace, for the exception after <see cref="Dispose"/>.</param>
    /// <param name="releaseLargeValue">
    /// Called once for each large value that no record in the index refers to any more: its record was overwritten, deleted, expired or
    /// abandoned. Called under the lock of a shard, so it must be quick, must not fail and must not call the store.
    /// </param>
    /// <param name="memory">The budget for memory; null for none.</param>
    /// <param name="shareLargeValue">Called before a second record refers to a large value, which is then released once more.</param>
    /// <param name="countLargeValue">
    /// Called before a record from elsewhere that refers to a large value is published. Returns whether each such record is counted, and
    /// releases the value; otherwise they come once.
    /// </param>
    public ShardedStore(
        CoarseClock clock,
        TimeProvider timeProvider,
        Action<Exception>? onMaintenanceFailure = null,
        int firstSegment = 1,
        string name = "",
        Action<KvValueReference>? releaseLargeValue = null,
        KvMemoryOptions? memory = null,
        Action<KvValueReference>? shareLargeValue = null,
        Func<KvValueReference, bool>? countLargeValue = null)
    {
        _shareLargeValue = shareLargeValue;
        _countLargeValue = countLargeValue;
        _releaseLargeValue = releaseLargeValue;
        Changes = new ChangeFeed(HashIndex.ShardCount);
        _clock = clock;
        _budget = new MemoryBudget(memory?.BytesMax);
        _newKeysPerShardMax = _budget.NewKeysPerShardMax;
        _segments = new SegmentTable(firstSegment, _budget.SegmentSizes);
        _index = new HashIndex(_segments, name);
        for (var i = 0; i < _shards.Length; i++)
        {
            _shards[i] = new Shard(i, _segments, _index, name, _newKeysPerShardMax, releaseLargeValue);
        }

        _ordered = new OrderedIndex(_segments, _index, Array.ConvertAll(_shards, static shard => shard.NewKeys), clock, name, _budget.SortedKeysMax);
        if (memory?.WhenFull == KvMemoryPolicy.Evict)
        {
            _eviction = new EvictionPolicy();
            _evictor = new Evictor(_segments, _ordered, _index, _eviction, Relocate, Evict, () => Count, clock);
            foreach (var shard in _shards)
            {
                shard.CountsUses = true;
            }
        }

        _recordBytesMax = RecordBytesMax();
        _maintenance = new Maintenance(
            _segments, _ordered, NewCleaner(), new ExpirySweep(_segments, clock, RemoveExpired), TrimIndexes, () => Revision, clock, timeProvider, onMaintenanceFailure)
        {
            EvictSome = _evictor is null ? null : EvictSome,
            BytesToEvict = BytesToEvict,
        };
        _segments.SegmentAdded += _maintenance.RequestCleaning;
    }

    /// <summary>The changes of the newest state, for watchers.</summary>
    public ChangeFeed Changes { get; }

    /// <summary>A cleaner of this store. One cleaner runs at a time.</summary>
    internal Cleaner NewCleaner() => new(_segments, _ordered, _index, Relocate, _budget.BytesMovedAtOnceMax);

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

    /// <summary>
    /// The bytes of records and indexes: live ones, dead ones that have not been cleaned yet, and room not yet used; and those of
    /// the keys that were removed and are remembered for watchers.
    /// </summary>
    public long MemoryBytes => _segments.BytesWithReserve + _index.Bytes + _ordered.Bytes + Changes.Bytes + (_eviction?.Bytes ?? 0);

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

    internal SegmentTable Segments => _segments;

    internal OrderedIndex Ordered => _ordered;

    internal HashIndex Index => _index;

    /// <summary>Finds the newest record of a key that has a value which has not expired.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record)
        where TKey : struct, IKey, allows ref struct => TryFind(key, out record, out _);

    /// <summary>Finds the newest record of a key, and the index entry that leads there.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct =>
        _index.TryFind(key, out record, out word)
            && (word & HashEntry.TombstoneBit) == 0
            && !_clock.HasPassed(record.Deadline);

    /// <summary>Fetches the words of a search to come, so that it need not wait for them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchBucket(ulong hash) => _index.PrefetchBucket(hash);

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

    /// <summary>Lists into a sink, until it has no more room.</summary>
    public void List<TSink>(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, ref TSink sink)
        where TSink : struct, IRecordSink, allows ref struct
    {
        if (sink.Room > 0)
        {
            _ordered.List(prefix, after, ref sink);
        }
    }

    /// <summary>Makes room for so many keys, so that tables need not grow while they come.</summary>
    public void Prepare(long keys)
    {
        // Most of what comes may have been overwritten or evicted, and tables that are too large would take up the budget.
        keys = Math.Min(keys, _budget.KeysMax);
        foreach (var shard in _shards)
        {
            lock (shard.Lock)
            {
                shard.PrepareHoldingLock((int)Math.Min(keys / _shards.Length, int.MaxValue / 4));
            }
        }
    }

    /// <summary>
    /// Frees the memory. Views that were handed out keep their bytes. Every read and write that comes later, or meanwhile, throws
    /// <see cref="ObjectDisposedException"/>; none finds that a key does not exist because of this.
    /// </summary>
    public void Dispose()
    {
        Changes.Close();
        _maintenance.Dispose();
        _ordered.Close();
        foreach (var shard in _shards)
        {
            lock (shard.Lock)
            {
                shard.CloseHoldingLock();
            }
        }

        _segments.Clear();
    }

    private Shard ShardOf(ulong hash) => _shards[HashIndex.ShardOf(hash)];
}
