using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Index;

/// <summary>
/// Finds the newest record of a key: open addressing over buckets of eight 64-bit entries (<see cref="HashBucket"/>,
/// <see cref="HashEntry"/>), one table for each shard.
/// </summary>
/// <remarks>
/// <para>Readers take no lock, write nothing, and never wait. They load the table and probe buckets from the key's home bucket on.
/// Where the tag of an entry matches, they load the record's array and read the entry again. If the entry is unchanged, the array
/// is the right one (see <see cref="SegmentTable"/>), and the record in it is complete and immutable. If not, they begin
/// again.</para>
/// <para>Writers hold the lock of the shard. What is always true:</para>
/// <list type="number">
/// <item>A key has at most one entry, reachable from its home bucket without crossing a bucket that has an empty entry.</item>
/// <item>A record is complete before its entry is written, and the entry is one atomic store.</item>
/// <item>When a table is replaced, its successor is complete before it is published, and every entry of the old table becomes
/// <see cref="HashEntry.Moved"/> before anything else changes in the shard, so nobody trusts an entry of an old table.</item>
/// </list>
/// <para>The lookup with two cache misses (one entry, one record) and the tag in the entry follow FASTER's hash index.</para>
/// </remarks>
internal sealed partial class HashIndex
{
    /// <summary>The number of shards.</summary>
    public const int ShardCount = 1 << ShardBits;

    /// <summary>The least number of entries in a shard's table.</summary>
    public const int EntriesMin = HashBucket.Entries;

    private const int ShardBits = 6;
    private const int TypicalKeyBytes = 24;

    // A bucket is one cache line only if the table begins with a cache line. So the array of a table is pinned, and has this many
    // more entries, before the first bucket and behind the last.
    private const int Padding = HashBucket.Entries - 1;

    private readonly SegmentTable _segments;
    private readonly string _name;
    private readonly int[] _tableNumbers = new int[ShardCount];
    private readonly Lock[] _locks = [.. Enumerable.Range(0, ShardCount).Select(static _ => new Lock())];
    private volatile bool _isClosed;

    // In this object, and not in an array, which saves one load in each read.
    private TableSlots _slots;

    // The tables that writers change: those of the slots, or successors that readers do not see yet.
    private WrittenTables _written;

    /// <param name="segments">The records.</param>
    /// <param name="name">The namespace, for the exception of reads after it was closed.</param>
    public HashIndex(SegmentTable segments, string name = "")
    {
        _segments = segments;
        _name = name;
        for (var i = 0; i < ShardCount; i++)
        {
            _written[i] = NewTable(EntriesMin);
            _slots[i].Set(_written[i]);
        }
    }

    /// <summary>The bytes of all tables.</summary>
    public long Bytes
    {
        get
        {
            var entries = 0L;
            foreach (ref readonly var slot in (ReadOnlySpan<TableSlot>)_slots)
            {
                entries += slot.Table.Length;
            }

            return entries * sizeof(long);
        }
    }

    /// <summary>The lock of a shard, which its writers hold. Readers do not take it.</summary>
    public Lock LockOf(int shard) => _locks[shard];

    /// <summary>The shard of a hash: its high bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ShardOf(ulong hash) => (int)(hash >> (64 - ShardBits));

    /// <summary>The entries of a shard's table. Call only while holding the shard's lock.</summary>
    public Span<long> EntriesOf(int shard) => EntriesOf(_written[shard]);

    /// <summary>
    /// Probes the first entry with the tag of a key in its home bucket, where the key nearly always is. Only this much is inlined into a
    /// hot path, so that all of it stays in registers.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="clock">The clock of expirations.</param>
    /// <param name="outcome">Makes the result. A type parameter, so that its methods are inlined.</param>
    /// <returns>The result of the outcome.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TResult Probe<TKey, TOutcome, TResult>(in TKey key, CoarseClock clock, TOutcome outcome)
        where TKey : struct, IKey, allows ref struct
        where TOutcome : struct, IProbeOutcome<TResult>, allows ref struct
    {
        // In bounds: the shard has six bits, so it is below ShardCount; the comparison below bounds the bucket; the entry is in the bucket.
        var hash = key.Hash;
        ref var slot = ref Unsafe.Add(ref Unsafe.As<TableSlots, TableSlot>(ref _slots), (nint)(hash >> (64 - ShardBits)));
        var offset = slot.ProbableOffsetOf(hash);
        var table = Volatile.Read(ref slot.Table);

        // A table that became smaller since its mask was read ends before the bucket.
        if ((offset / sizeof(long)) + HashBucket.Entries > (uint)table.Length)
        {
            return outcome.Uncertain(hash);
        }

        ref var bucket = ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(table), offset);
        var candidates = HashBucket.FindTag(in bucket, HashEntry.ValueTagOf(key.HashInRegister));
        if (candidates == 0)
        {
            return Unsafe.AreSame(ref bucket, ref HomeBucketOf(table, hash)) && IsLastOfSearch(in bucket) ? outcome.Absent() : outcome.Uncertain(hash);
        }

        ref var slotOfEntry = ref HashBucket.FirstOf(ref bucket, candidates);
        var entry = Volatile.Read(ref slotOfEntry);
        var array = _segments.ArrayOf(entry);
        if (entry >= 0 || Volatile.Read(ref slotOfEntry) != entry || array is null)
        {
            return outcome.Uncertain(hash);
        }

        // The array is never null here: checking it replaces the runtime's own check, which would touch the array header on another
        // cache line. In bounds: the entry is unchanged, so a record begins at its offset in this array. The length of the key does not
        // match for a record that is dead, a tombstone (the entry may have become one since it was compared) or a large value.
        var units = RecordAddress.OffsetUnitsOf(entry);
        Debug.Assert(RecordAddress.OffsetOf(entry) + Record.HeaderBytes <= array.Length, "A record begins at the offset of the entry.");
        ref var start = ref Unsafe.As<ulong, byte>(ref Unsafe.Add(ref Unsafe.As<byte, ulong>(ref MemoryMarshal.GetArrayDataReference(array)), units));
        if (RecordLayout.Read<ushort>(in start, RecordLayout.KeyBytesOffset) != key.Utf8Bytes
            || clock.MayHavePassed(RecordLayout.Read<uint>(in start, RecordLayout.DeadlineOffset))
            || key.DiffersFrom(in Unsafe.Add(ref start, RecordLayout.HeaderBytes)))
        {
            return outcome.Uncertain(hash);
        }

        return outcome.Found(array, (int)units * Record.Alignment, ref start, hash);
    }

    /// <summary>Finds the entry and the record of a key. A tombstone is found too: <see cref="HashEntry.TombstoneBit"/> of the entry is set.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record, out long entry)
        where TKey : struct, IKey, allows ref struct
    {
        var hash = key.Hash;
        var tag = HashEntry.TagOf(hash);

    Begin:
        // In bounds as above.
        var table = Volatile.Read(ref _slots[ShardOf(hash)].Table);
        ref var first = ref FirstBucketOf(table);
        var mask = BucketMaskOf(table);
        var offset = (nuint)hash & mask;
        while (true)
        {
            ref var bucket = ref Unsafe.AddByteOffset(ref first, offset);
            for (var candidates = HashBucket.Find(in bucket, HashEntry.TagMask, tag); candidates != 0; candidates &= candidates - 1)
            {
                ref var slotOfEntry = ref Unsafe.Add(ref bucket, BitOperations.TrailingZeroCount(candidates));
                var candidate = Volatile.Read(ref slotOfEntry);
                var array = _segments.ArrayOf(candidate);
                if ((candidate & HashEntry.TagMask) != tag || Volatile.Read(ref slotOfEntry) != candidate)
                {
                    goto Begin;
                }

                var found = new Record(array!, RecordAddress.OffsetOf(candidate));
                if (found.KeyBytes == key.Utf8Bytes && !key.DiffersFrom(in found.KeyStart))
                {
                    record = found;
                    entry = candidate;
                    return true;
                }
            }

            // Moved markers are checked first: while a table is being replaced, the key's entry may be a moved marker already, and an
            // empty entry behind it not yet.
            if (HashBucket.Find(in bucket, HashEntry.Moved) != 0)
            {
                AwaitTable();
                goto Begin;
            }

            if (HashBucket.Find(in bucket, HashEntry.Empty) != 0)
            {
                record = default;
                entry = HashEntry.Empty;
                return false;
            }

            offset = (offset + HashBucket.Bytes) & mask;
        }
    }

    /// <summary>Prefetches the home bucket of a hash.</summary>
    public unsafe void PrefetchBucket(ulong hash)
    {
        if (Sse.IsSupported)
        {
            // A prefetch does not dereference the address, so the address may be stale.
            ref var slot = ref _slots[ShardOf(hash)];
            var offset = slot.ProbableOffsetOf(hash);
            if (slot.Table is { } table)
            {
                Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(table), offset)));
            }
        }
    }

    /// <summary>
    /// Prefetches the record that a probe for a hash will probably find, up to the end of its key: that of the first entry with its
    /// tag in its home bucket.
    /// </summary>
    public void PrefetchRecord(ulong hash, int keyBytes)
    {
        // In bounds as in TryFind.
        var table = Volatile.Read(ref _slots[ShardOf(hash)].Table);
        ref var bucket = ref HomeBucketOf(table, hash);
        var candidates = HashBucket.Find(in bucket, HashEntry.TagMask, HashEntry.TagOf(hash));
        if (candidates != 0)
        {
            var entry = Volatile.Read(ref Unsafe.Add(ref bucket, BitOperations.TrailingZeroCount(candidates)));
            Prefetch(_segments.ArrayOf(entry), RecordAddress.OffsetOf(entry), keyBytes);
        }
    }

    /// <summary>Finds the slot of the entry that holds an address, or -1. Call only while holding the shard's lock.</summary>
    public int SlotOfAddressHoldingLock(ulong hash, long address)
    {
        // This bit is set in every entry that points at a record, and in no marker.
        const long Pointing = RecordAddress.Mask | long.MinValue;
        AssertHoldsLock(ShardOf(hash));
        var entries = EntriesOf(ShardOf(hash));
        for (var home = HomeBucket.HomeOf(hash, entries.Length); ; home = (home + HashBucket.Entries) & (entries.Length - 1))
        {
            var found = HashBucket.Find(in entries[home], Pointing, address | long.MinValue);
            if (found != 0)
            {
                return home + BitOperations.TrailingZeroCount(found);
            }

            if (HashBucket.Find(in entries[home], HashEntry.Empty) != 0)
            {
                return -1;
            }
        }
    }

    /// <summary>
    /// Finds the slot of a key's entry, or, when it has none, the slot where one goes. Call only while holding the shard's lock.
    /// Requires: the table has at least one empty entry.
    /// </summary>
    public bool TryFindSlotHoldingLock<TKey>(in TKey key, out int slot, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        AssertHoldsLock(ShardOf(key.Hash));
        var tag = HashEntry.TagOf(key.Hash);
        var entries = EntriesOf(ShardOf(key.Hash));
        var free = -1;
        for (var home = HomeBucket.HomeOf(key.Hash, entries.Length); ; home = (home + HashBucket.Entries) & (entries.Length - 1))
        {
            ref var bucket = ref entries[home];
            for (var candidates = HashBucket.Find(in bucket, HashEntry.TagMask, tag); candidates != 0; candidates &= candidates - 1)
            {
                slot = home + BitOperations.TrailingZeroCount(candidates);
                record = _segments.RecordAt(entries[slot]);
                if (record.KeyBytes == key.Utf8Bytes && !key.DiffersFrom(in record.KeyStart))
                {
                    return true;
                }
            }

            if (free < 0 && HashBucket.Find(in bucket, HashEntry.Deleted) is var deleted and not 0)
            {
                free = home + BitOperations.TrailingZeroCount(deleted);
            }

            if (HashBucket.Find(in bucket, HashEntry.Empty) is var empty and not 0)
            {
                slot = free >= 0 ? free : home + BitOperations.TrailingZeroCount(empty);
                record = default;
                return false;
            }
        }
    }

    /// <summary>
    /// Empties a slot. Call only while holding the shard's lock.
    /// </summary>
    /// <returns>Whether the entry became <see cref="HashEntry.Empty"/>, and not <see cref="HashEntry.Deleted"/>.</returns>
    public bool RemoveHoldingLock(int shard, int slot)
    {
        AssertHoldsLock(shard);

        // A bucket that has an empty entry was never full, so no probe passes it, and it can have another one. A bucket that was full
        // gets no empty entry before the table is replaced.
        var entries = EntriesOf(shard);
        Debug.Assert(entries[slot] < 0, "The entry points at a record.");
        var canBeEmpty = HashBucket.Find(in entries[slot & -HashBucket.Entries], HashEntry.Empty) != 0;
        Volatile.Write(ref entries[slot], canBeEmpty ? HashEntry.Empty : HashEntry.Deleted);
        return canBeEmpty;
    }

    [Conditional("DEBUG")]
    private void AssertHoldsLock(int shard) => Debug.Assert(_locks[shard].IsHeldByCurrentThread);

    /// <summary>Prefetches a record up to the end of its key. A record begins anywhere in a cache line, so its key often ends in the next one.</summary>
    public static void Prefetch(byte[]? segment, int offset, int keyBytes)
    {
        Prefetch(segment, offset);
        Prefetch(segment, offset + Record.HeaderBytes + keyBytes - 1);
    }

    /// <summary>Prefetches the beginning of a record.</summary>
    public static unsafe void Prefetch(byte[]? segment, int offset)
    {
        if (Sse.IsSupported && segment is not null)
        {
            // A prefetch may be beyond the end of the array: checking the length would wait for the array header, which takes as long
            // as the cache miss that the prefetch hides.
            Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(segment), (nuint)(uint)offset)));
        }
    }

    /// <summary>
    /// Prefetches a cache line into the second-level cache. The first-level cache has few buffers for misses, and a prefetch into it
    /// holds one until memory answers, so it makes all others wait when whole records are prefetched.
    /// </summary>
    public static unsafe void PrefetchToL2(byte[]? segment, int offset)
    {
        if (Sse.IsSupported && segment is not null)
        {
            Sse.Prefetch1(Unsafe.AsPointer(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(segment), (nuint)(uint)offset)));
        }
    }

    // A reader has met a moved marker: the index is closed, or the thread that replaces the table is about to show the new one.
    private void AwaitTable()
    {
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(_name);
        }

        Thread.Yield();
    }

    // Whether a key of this home bucket that is not in it is absent.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsLastOfSearch(ref readonly long bucket) =>
        HashBucket.Find(in bucket, HashEntry.Moved) == 0 && HashBucket.Find(in bucket, HashEntry.Empty) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref long HomeBucketOf(long[] table, ulong hash) =>
        // In bounds: the mask leaves multiples of 64 bytes, below the size of the table's 2^n entries.
        ref Unsafe.AddByteOffset(ref FirstBucketOf(table), (nuint)hash & BucketMaskOf(table));

    private static Span<long> EntriesOf(long[] table) => MemoryMarshal.CreateSpan(ref FirstBucketOf(table), table.Length - Padding);

    // The bits of a hash that choose its home bucket: they are the bucket's offset in bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint BucketMaskOf(long[] table) => (nuint)(uint)(table.Length - Padding - HashBucket.Entries) * sizeof(long);

    // In bounds: at most the padding is skipped. The array is pinned, so that its address stays; the reference that comes back
    // keeps it alive.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe ref long FirstBucketOf(long[] table)
    {
        ref var first = ref MemoryMarshal.GetArrayDataReference(table);
        return ref Unsafe.AddByteOffset(ref first, -(nint)Unsafe.AsPointer(ref first) & (HashBucket.Bytes - 1));
    }

    /// <summary>The table of a shard, with the mask and the offset that find a bucket in it, so that a read loads neither the array's length nor its address.</summary>
    private struct TableSlot
    {
        /// <summary>A pinned array of 2^n entries and the padding.</summary>
        public long[] Table;

        // See BucketMaskOf. Written before a smaller table and after a larger one, and read before the table, so a reader mostly has the
        // mask of the table, or a smaller mask.
        private nuint _bucketMask;
        private nuint _skipBytes;

        public void Set(long[] table)
        {
            Debug.Assert(BitOperations.IsPow2(table.Length - Padding) && table.Length >= EntriesMin + Padding, "A table has 2^n entries and the padding.");
            var bucketMask = BucketMaskOf(table);
            if (bucketMask < _bucketMask)
            {
                Volatile.Write(ref _bucketMask, bucketMask);
            }

            Volatile.Write(ref Table, table);
            _skipBytes = (nuint)Unsafe.ByteOffset(ref MemoryMarshal.GetArrayDataReference(table), ref FirstBucketOf(table));
            Debug.Assert(_skipBytes <= Padding * sizeof(long) && _skipBytes % sizeof(long) == 0, "Only entries of the padding are skipped.");
            Volatile.Write(ref _bucketMask, bucketMask);
        }

        /// <summary>
        /// The offset in the table's array at which the home bucket of a hash nearly always begins. Call before loading the table. While
        /// the table is being replaced it may be the offset of another bucket: a key that is found there is right, but one that is not
        /// found may be elsewhere. It may be beyond the end of a table that has become smaller: compare it with the length.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public nuint ProbableOffsetOf(ulong hash) => ((nuint)hash & Volatile.Read(ref _bucketMask)) + _skipBytes;
    }

    [InlineArray(ShardCount)]
    private struct TableSlots
    {
        private TableSlot _first;
    }

    [InlineArray(ShardCount)]
    private struct WrittenTables
    {
        private long[] _first;
    }
}
