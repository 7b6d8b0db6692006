using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// The keys in the order of their UTF-8 bytes: an array of leaves (<see cref="Leaf"/>), each a run of up to 512 keys.
/// </summary>
/// <remarks>
/// <para>A put of a new key only adds its address to a list in its shard. The addresses are sorted and merged into the leaves a
/// batch at a time: by background work when there are enough, or by the next list, which sees every key put before it. An overwrite
/// does not change this index: an entry may point at an older record of its key, whose dead bit sends the reader to the hash index
/// for the newest one. A delete leaves its entry behind until <see cref="Refresh"/> drops it.</para>
/// <para>What is always true:</para>
/// <list type="number">
/// <item>Entries are in strict key order, so that no key is listed twice.</item>
/// <item>Every live key has an entry, or its address waits in its shard, or the version is odd.</item>
/// <item>The segment of every entry is in the segment table: the cleaner refreshes the entries that point into a segment
/// before it drops that.</item>
/// </list>
/// <para>This index is derived from the hash index. A change that fails half-way, because memory is short, drops all leaves, which
/// needs no memory; the next list or merge rebuilds them from the hash index. Until then the version stays odd.</para>
/// <para>Thread safety: <see cref="List"/> and <see cref="Merge"/> from any thread. Changes happen under the lock and make
/// <see cref="_version"/> odd while they last. A list reads without the lock (a seqlock): it notes the version, resolves a few
/// entries to arrays, and trusts them if the version is unchanged. It takes the lock only when keys wait to be merged or a change
/// is going on. A put never takes it.</para>
/// </remarks>
/// <param name="segments">The segments.</param>
/// <param name="index">The hash index.</param>
/// <param name="newKeys">The keys that wait, by shard.</param>
/// <param name="clock">Decides whether entries have expired.</param>
/// <param name="name">The name of the namespace, for the exception after closing.</param>
/// <param name="batchKeysMax">About the most keys that are sorted at once, where memory is limited.</param>
internal sealed partial class OrderedIndex(
    SegmentTable segments, HashIndex index, NewKeys[] newKeys, CoarseClock clock, string name, int batchKeysMax = int.MaxValue)
{
    private const int FetchAhead = 24;
    private const int FetchAtOnce = 8;
    private const int TypicalKeyBytes = 24;
    private const int RefreshLeaves = 64;
    private const int OptimisticAttempts = 4;

    private readonly Lock _lock = new();
    private readonly KeyBatch _batch = new(segments, index, batchKeysMax);
    private long _entryCount;

    // Replaced when leaves are added or dropped, so that its length is always right.
    private Leaf[] _leaves = [];

    // Odd while leaves change, and while there are none because a change failed.
    private int _version;

    // Under the lock: there are no leaves, and the next merge takes the keys from the hash index.
    private bool _isDropped;
    private bool _isClosed;

    // Buffers, kept from one step of a refresh to the next.
    private ulong[] _refreshHashes = [];

    /// <summary>The number of entries, those of deleted keys included.</summary>
    public long EntryCount => Volatile.Read(ref _entryCount);

    /// <summary>The bytes of all leaves, of the keys that wait, and of the buffers for merging them.</summary>
    public long Bytes
    {
        get
        {
            var bytes = (Volatile.Read(ref _leaves).Length * (long)Leaf.Bytes) + _batch.Bytes;
            foreach (var keys in newKeys)
            {
                bytes += keys.Bytes;
            }

            return bytes;
        }
    }

    /// <summary>The bytes of leaves that the keys that wait will need, about.</summary>
    public long BytesToAdd
    {
        get
        {
            var count = 0L;
            foreach (var keys in newKeys)
            {
                count += keys.Count;
            }

            // Leaves that are split are half empty.
            return count * 2 * sizeof(long);
        }
    }

    /// <summary>
    /// Finds the first keys in order that begin with a prefix and come after a key, and hands their newest records to a sink, until
    /// that wants no more.
    /// </summary>
    public void List<TSink>(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, ref TSink sink)
        where TSink : struct, IRecordSink, allows ref struct
    {
        for (var attempt = 0; attempt < OptimisticAttempts; attempt++)
        {
            var version = Volatile.Read(ref _version);
            if ((version & 1) != 0 || HasNewKeys())
            {
                break;
            }

            if (TryList(version, prefix, after, ref sink))
            {
                return;
            }

            // The records that were found before the change are right; go on behind the last one.
            if (sink.LastKey is { IsEmpty: false } last)
            {
                after = last;
            }
        }

        lock (_lock)
        {
            MergeHoldingLock();
            var isComplete = TryList(_version, prefix, after, ref sink);
            Debug.Assert(isComplete, "Nothing changes while the lock is held.");
        }
    }

    /// <summary>Brings in the new keys of all shards.</summary>
    public void Merge()
    {
        lock (_lock)
        {
            MergeHoldingLock();
        }
    }

    /// <summary>
    /// Points the entries that name a dead record at the newest record of their key, and drops those of keys that are gone.
    /// </summary>
    /// <param name="concerns">Which segments are looked at; null for all.</param>
    public void Refresh(SegmentSet? concerns)
    {
        lock (_lock)
        {
            MergeHoldingLock();
        }

        // A few leaves at a time, so that a list that needs the lock gets it soon. Between two steps leaves are only added: a leaf
        // beyond the end of a step stays beyond it, so an entry may be seen twice, but none is missed.
        var next = 0;
        bool isDone;
        do
        {
            lock (_lock)
            {
                next = RefreshHoldingLock(concerns, next);
                isDone = next >= _leaves.Length;
            }
        }
        while (!isDone);
    }

    /// <summary>Drops all leaves, because they cannot be trusted. The next list or merge rebuilds them. Allocates nothing.</summary>
    public void Drop()
    {
        lock (_lock)
        {
            DropHoldingLock();
        }
    }

    /// <summary>Frees the buffers that merging keeps for the next batch, and those of the shards in which no key waits.</summary>
    public void TrimBuffers()
    {
        lock (_lock)
        {
            _batch.Trim();
        }

        foreach (var keys in newKeys)
        {
            keys.Trim();
        }
    }

    /// <summary>Drops all leaves for good. Lists that run now or later throw.</summary>
    public void Close()
    {
        lock (_lock)
        {
            // The version stays odd, so that every list takes the lock.
            DropHoldingLock();
            _isClosed = true;
        }
    }

    private bool HasNewKeys()
    {
        foreach (var keys in newKeys)
        {
            if (keys.Count > 0 || keys.HasLost)
            {
                return true;
            }
        }

        return false;
    }

    private bool HasLostNewKeys()
    {
        foreach (var keys in newKeys)
        {
            if (keys.HasLost)
            {
                return true;
            }
        }

        return false;
    }

    // False when the leaves changed meanwhile; then the records in the sink are right, and there are more. Not inlined, because the loop
    // needs every register.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryList<TSink>(int version, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, ref TSink sink)
        where TSink : struct, IRecordSink, allows ref struct
    {
        var leaves = Volatile.Read(ref _leaves);
        var isAfter = after.SequenceCompareTo(prefix) >= 0 && !after.IsEmpty;
        if (!TrySeek(version, leaves, isAfter ? after : prefix, isAfter, out var leafIndex, out var position))
        {
            return false;
        }

        var keyBytes = TypicalKeyBytes;
        var isFirst = true;
        for (; leafIndex < leaves.Length; leafIndex++)
        {
            var entries = EntriesOf(leaves[leafIndex]);
            var next = leafIndex + 1 < leaves.Length ? EntriesOf(leaves[leafIndex + 1]) : default;
            if (isFirst)
            {
                Fetch(entries, next, position, Math.Min(sink.Room, FetchAhead + FetchAtOnce), keyBytes);
                isFirst = false;
            }

            for (; position < entries.Length; position++)
            {
                if (position % FetchAtOnce == 0)
                {
                    Fetch(entries, next, position + FetchAhead, FetchAtOnce, keyBytes);
                }

                var record = segments.RecordAt(entries[position]);
                if (!IsStill(version))
                {
                    return false;
                }

                if (!prefix.IsEmpty && !record.Key.StartsWith(prefix))
                {
                    return true;
                }

                keyBytes = record.KeyBytes;
                if (record.IsDead)
                {
                    if (!TryAddressOfNewest(record, out var newest, out _))
                    {
                        continue;
                    }

                    record = newest;
                }

                if (!clock.HasPassed(record.Deadline) && !sink.Offer(record))
                {
                    return true;
                }
            }

            position = 0;
        }

        return IsStill(version);
    }

    // Prefetches the records of a run of entries, which may begin in this leaf or the next. All at once, so that their cache and TLB
    // misses overlap.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Fetch(ReadOnlySpan<long> entries, ReadOnlySpan<long> next, int first, int count, int keyBytes)
    {
        Fetch(entries[Math.Min(first, entries.Length)..Math.Min(first + count, entries.Length)], keyBytes);
        first -= entries.Length;
        Fetch(next[Math.Clamp(first, 0, next.Length)..Math.Clamp(first + count, 0, next.Length)], keyBytes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Fetch(ReadOnlySpan<long> entries, int keyBytes)
    {
        foreach (var entry in entries)
        {
            HashIndex.Prefetch(segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), keyBytes);
        }
    }

    private static ReadOnlySpan<long> EntriesOf(Leaf leaf) => leaf.All[..Math.Clamp(leaf.Count, 0, Leaf.Capacity)];

    // The first entry that is not before the key, or, when exclusive, that is after it.
    private bool TrySeek(
        int version, Leaf[] leaves, ReadOnlySpan<byte> key, bool isExclusive, out int leafIndex, out int entryIndex)
    {
        leafIndex = 0;
        entryIndex = 0;

        // The last leaf that begins before the key, or at it.
        var low = 0;
        var high = leaves.Length;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (!TryKeyOf(version, leaves[middle].All[0], out var first))
            {
                return false;
            }

            if (first.SequenceCompareTo(key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (low == 0)
        {
            return IsStill(version);
        }

        leafIndex = low - 1;
        var leaf = leaves[leafIndex];
        low = 0;
        high = Math.Clamp(leaf.Count, 0, Leaf.Capacity);
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (!TryKeyOf(version, leaf.All[middle], out var candidate))
            {
                return false;
            }

            var order = candidate.SequenceCompareTo(key);
            if (order < 0 || (order == 0 && isExclusive))
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        entryIndex = low;
        return IsStill(version);
    }

    private bool TryKeyOf(int version, long entry, out ReadOnlySpan<byte> key)
    {
        var array = segments.ArrayOf(entry);
        if (!IsStill(version))
        {
            key = default;
            return false;
        }

        key = new Record(array!, RecordAddress.OffsetOf(entry)).Key;
        return true;
    }

    private bool IsStill(int version)
    {
        // The loads before this one must complete before the version is read again.
        Volatile.ReadBarrier();
        return Volatile.Read(ref _version) == version;
    }

    private bool TryAddressOfNewest(Record record, out Record newest, out long address)
    {
        var isFound = index.TryFind(new Utf8Key(record.Key), out newest, out var indexEntry) && (indexEntry & HashEntry.TombstoneBit) == 0;
        address = indexEntry & RecordAddress.Mask;
        return isFound;
    }
}
