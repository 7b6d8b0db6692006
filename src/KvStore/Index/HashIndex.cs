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
/// Finds the newest record of a key: open addressing over lines of eight 64-bit words (<see cref="HashBucket"/>,
/// <see cref="HashEntry"/>), one table a shard.
/// </summary>
/// <remarks>
/// <para>Readers take no lock, write nothing, and never wait. They load the table, then lines from the key's home line on;
/// where the tag of a word fits they load the record's array, and look at the word once more. If it still stands there, the
/// array is the right one (see <see cref="SegmentTable"/>), and the record in it is complete and immutable. If not, they
/// begin again.</para>
/// <para>Writers hold the lock of the shard. What is always true:</para>
/// <list type="number">
/// <item>A key has at most one word, reachable from its home line without crossing a line that has an empty word.</item>
/// <item>A record is complete before its word is written, and the word is one atomic store.</item>
/// <item>A table that is replaced is complete in its successor before that is published, and every one of its words becomes
/// <see cref="HashEntry.Moved"/> before anything else changes in the shard: so nobody trusts an old table's word.</item>
/// </list>
/// <para>The two-miss lookup (one word, one record) follows FASTER's hash index; the tag in the word is theirs as well.</para>
/// </remarks>
internal sealed partial class HashIndex
{
    /// <summary>The number of shards.</summary>
    public const int ShardCount = 1 << ShardBits;

    /// <summary>The least number of words in a shard's table.</summary>
    public const int WordsMin = HashBucket.Words;

    private const int ShardBits = 6;
    private const int TypicalKeyBytes = 24;

    // A line of words is a line of the processor's cache only if the table begins with one: so an array never moves, and is
    // longer by this, the words before the first line and behind the last.
    private const int Padding = HashBucket.Words - 1;

    private readonly SegmentTable _segments;
    private readonly string _name;
    private readonly int[] _tableNumbers = new int[ShardCount];
    private volatile bool _isClosed;

    // In this object and not in an array of their own, so that a read is one step closer to its table.
    private TableSlots _slots;

    /// <param name="segments">The records.</param>
    /// <param name="name">The namespace, for the exception of whoever comes after it was closed.</param>
    public HashIndex(SegmentTable segments, string name = "")
    {
        _segments = segments;
        _name = name;
        foreach (ref var slot in (Span<TableSlot>)_slots)
        {
            slot.Set(NewTable(WordsMin));
        }
    }

    /// <summary>The bytes of all tables.</summary>
    public long Bytes
    {
        get
        {
            var words = 0L;
            foreach (ref readonly var slot in (ReadOnlySpan<TableSlot>)_slots)
            {
                words += slot.Table.Length;
            }

            return words * sizeof(long);
        }
    }

    /// <summary>The shard of a hash: its high bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ShardOf(ulong hash) => (int)(hash >> (64 - ShardBits));

    /// <summary>The words of a shard's table, for the holder of its lock.</summary>
    public Span<long> WordsOf(int shard) => WordsOf(_slots[shard].Table);

    /// <summary>
    /// Looks for a key in its home line, at the first word that fits: where it nearly always is. This is all of a search that
    /// a hot path takes in, so that what it works with stays in registers.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="clock">Tells what may have expired.</param>
    /// <param name="outcome">Makes the result. A type parameter, so that nothing has to be carried out of here and asked again.</param>
    /// <returns>What the outcome makes of the record, where it is certain that this is the value of the key.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TResult Probe<TKey, TOutcome, TResult>(in TKey key, CoarseClock clock, TOutcome outcome)
        where TKey : struct, IKey, allows ref struct
        where TOutcome : struct, IProbeOutcome<TResult>, allows ref struct
    {
        // In bounds: the shard is below ShardCount by its six bits; the line is by the comparison; the word is in the line.
        var hash = key.Hash;
        ref var slot = ref Unsafe.Add(ref Unsafe.As<TableSlots, TableSlot>(ref _slots), (nint)(hash >> (64 - ShardBits)));
        var offset = slot.ProbableOffsetOf(hash);
        var table = Volatile.Read(ref slot.Table);

        // A table that became smaller since its mask was read ends before the line.
        if ((offset / sizeof(long)) + HashBucket.Words > (uint)table.Length)
        {
            return outcome.Uncertain(hash);
        }

        ref var line = ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(table), offset);
        var candidates = HashBucket.FindTop(in line, HashEntry.TopOf(key.HashInRegister));
        if (candidates == 0)
        {
            return Unsafe.AreSame(ref line, ref HomeLineOf(table, hash)) && IsLastOfSearch(in line) ? outcome.Absent() : outcome.Uncertain(hash);
        }

        ref var place = ref HashBucket.FirstOf(ref line, candidates);
        var word = Volatile.Read(ref place);
        var array = _segments.ArrayOf(word);
        if (word >= 0 || Volatile.Read(ref place) != word || array is null)
        {
            return outcome.Uncertain(hash);
        }

        // Never null here; that it is asked for spares a read the beginning of the array, which the runtime would look at instead.
        // In bounds: the word vouches for the array, and a record lies there. Of one that is dead, or a tombstone (the word may have
        // become that since it was compared), or whose value is kept outside memory, the length of the key does not fit.
        var units = HashEntry.OffsetUnitsOf(word);
        ref var start = ref Unsafe.As<ulong, byte>(ref Unsafe.Add(ref Unsafe.As<byte, ulong>(ref MemoryMarshal.GetArrayDataReference(array)), units));
        if (RecordLayout.Read<ushort>(in start, RecordLayout.KeyBytesOffset) != key.Utf8Bytes
            || clock.MayHavePassed(RecordLayout.Read<uint>(in start, RecordLayout.DeadlineOffset))
            || key.DiffersFrom(in Unsafe.Add(ref start, RecordLayout.HeaderBytes)))
        {
            return outcome.Uncertain(hash);
        }

        return outcome.Found(array, (int)units * Record.Alignment, hash);
    }

    /// <summary>Finds the word and the record of a key; also a tombstone, which the word tells.</summary>
    public bool TryFind<TKey>(in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct
    {
        var hash = key.Hash;
        var tag = HashEntry.TagOf(hash);

    Begin:
        // In bounds as above.
        var table = Volatile.Read(ref _slots[ShardOf(hash)].Table);
        ref var words = ref FirstLineOf(table);
        var mask = LineMaskOf(table);
        var offset = (nuint)hash & mask;
        while (true)
        {
            ref var line = ref Unsafe.AddByteOffset(ref words, offset);
            for (var candidates = HashBucket.Find(in line, HashEntry.TagMask, tag); candidates != 0; candidates &= candidates - 1)
            {
                ref var place = ref Unsafe.Add(ref line, BitOperations.TrailingZeroCount(candidates));
                var candidate = Volatile.Read(ref place);
                var array = _segments.ArrayOf(candidate);
                if ((candidate & HashEntry.TagMask) != tag || Volatile.Read(ref place) != candidate)
                {
                    goto Begin;
                }

                var found = new Record(array!, HashEntry.OffsetOf(candidate));
                if (found.KeyBytes == key.Utf8Bytes && !key.DiffersFrom(in found.KeyStart))
                {
                    record = found;
                    word = candidate;
                    return true;
                }
            }

            // In this order: where a table is being replaced, the word looked for may be a mark already while an empty one
            // behind it is not.
            if (HashBucket.Find(in line, HashEntry.Moved) != 0)
            {
                ThrowIfClosed();
                goto Begin;
            }

            if (HashBucket.Find(in line, HashEntry.Empty) != 0)
            {
                record = default;
                word = HashEntry.Empty;
                return false;
            }

            offset = (offset + HashBucket.Bytes) & mask;
        }
    }

    /// <summary>Fetches the words at which a search for a hash will begin, so that they need not be waited for.</summary>
    public unsafe void PrefetchBucket(ulong hash)
    {
        if (Sse.IsSupported)
        {
            // Only a hint to the processor: the address is not dereferenced, so it may even be stale.
            ref var slot = ref _slots[ShardOf(hash)];
            var offset = slot.ProbableOffsetOf(hash);
            if (slot.Table is { } table)
            {
                Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.AddByteOffset(ref MemoryMarshal.GetArrayDataReference(table), offset)));
            }
        }
    }

    /// <summary>
    /// Fetches the record that a search for a hash will probably end at, as far as its key goes: of those in its home line
    /// that fit, the first.
    /// </summary>
    public void PrefetchRecord(ulong hash, int keyBytes)
    {
        // In bounds as in TryFind.
        var table = Volatile.Read(ref _slots[ShardOf(hash)].Table);
        ref var line = ref HomeLineOf(table, hash);
        var candidates = HashBucket.Find(in line, HashEntry.TagMask, HashEntry.TagOf(hash));
        if (candidates != 0)
        {
            var word = Volatile.Read(ref Unsafe.Add(ref line, BitOperations.TrailingZeroCount(candidates)));
            Prefetch(_segments.ArrayOf(word), HashEntry.OffsetOf(word), keyBytes);
        }
    }

    /// <summary>Finds the slot of the word that holds an address, or -1. Holding the shard's lock.</summary>
    public int SlotOfAddressHoldingLock(ulong hash, long address)
    {
        // The bit that is always set in a word that points somewhere tells an address from a mark.
        const long Pointing = HashEntry.AddressMask | long.MinValue;
        var words = WordsOf(ShardOf(hash));
        for (var home = HomeBucket.HomeOf(hash, words.Length); ; home = (home + HashBucket.Words) & (words.Length - 1))
        {
            var found = HashBucket.Find(in words[home], Pointing, address | long.MinValue);
            if (found != 0)
            {
                return home + BitOperations.TrailingZeroCount(found);
            }

            if (HashBucket.Find(in words[home], HashEntry.Empty) != 0)
            {
                return -1;
            }
        }
    }

    /// <summary>
    /// Finds the slot of a key's word, or, when it has none, where one goes. Holding the shard's lock, with at least one
    /// empty word in the table.
    /// </summary>
    public bool TryFindSlotHoldingLock<TKey>(in TKey key, out int slot, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        var tag = HashEntry.TagOf(key.Hash);
        var words = WordsOf(ShardOf(key.Hash));
        var free = -1;
        for (var home = HomeBucket.HomeOf(key.Hash, words.Length); ; home = (home + HashBucket.Words) & (words.Length - 1))
        {
            ref var line = ref words[home];
            for (var candidates = HashBucket.Find(in line, HashEntry.TagMask, tag); candidates != 0; candidates &= candidates - 1)
            {
                slot = home + BitOperations.TrailingZeroCount(candidates);
                record = _segments.RecordAt(words[slot]);
                if (record.KeyBytes == key.Utf8Bytes && !key.DiffersFrom(in record.KeyStart))
                {
                    return true;
                }
            }

            if (free < 0 && HashBucket.Find(in line, HashEntry.Deleted) is var deleted and not 0)
            {
                free = home + BitOperations.TrailingZeroCount(deleted);
            }

            if (HashBucket.Find(in line, HashEntry.Empty) is var empty and not 0)
            {
                slot = free >= 0 ? free : home + BitOperations.TrailingZeroCount(empty);
                record = default;
                return false;
            }
        }
    }

    /// <summary>
    /// Empties a slot. Holding the shard's lock.
    /// </summary>
    /// <returns>Whether the word became empty: it stays marked where a search may have to pass it.</returns>
    public bool RemoveHoldingLock(int shard, int slot)
    {
        // A line that has an empty word has never been full: no search passes it, so it can have another. One that was full
        // gets none before the table is replaced.
        var words = WordsOf(shard);
        var canBeEmpty = HashBucket.Find(in words[slot & -HashBucket.Words], HashEntry.Empty) != 0;
        Volatile.Write(ref words[slot], canBeEmpty ? HashEntry.Empty : HashEntry.Deleted);
        return canBeEmpty;
    }

    /// <summary>Fetches a record as far as its key goes: it begins anywhere in a line of the cache, and mostly ends in the next.</summary>
    public static void Prefetch(byte[]? segment, int offset, int keyBytes)
    {
        Prefetch(segment, offset);
        Prefetch(segment, offset + Record.HeaderBytes + keyBytes - 1);
    }

    /// <summary>Fetches the beginning of a record.</summary>
    public static unsafe void Prefetch(byte[]? segment, int offset)
    {
        if (Sse.IsSupported && segment is not null)
        {
            // Only a hint to the processor, so it may be beyond the end: to look at the array's length would take as long as what
            // is to be hidden.
            Sse.Prefetch0(Unsafe.AsPointer(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(segment), (nuint)(uint)offset)));
        }
    }

    private void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(_name);
        }
    }

    // Whether a key of this home line that is not in it is nowhere.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsLastOfSearch(ref readonly long line) =>
        HashBucket.Find(in line, HashEntry.Moved) == 0 && HashBucket.Find(in line, HashEntry.Empty) != 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref long HomeLineOf(long[] table, ulong hash) =>
        // In bounds: the mask leaves multiples of 64 bytes, below those of the table's 2^n words.
        ref Unsafe.AddByteOffset(ref FirstLineOf(table), (nuint)hash & LineMaskOf(table));

    private static Span<long> WordsOf(long[] table) => MemoryMarshal.CreateSpan(ref FirstLineOf(table), table.Length - Padding);

    // The bits of a hash that choose its home line, which are those of the line's offset in bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint LineMaskOf(long[] table) => (nuint)(uint)(table.Length - Padding - HashBucket.Words) * sizeof(long);

    // In bounds: at most the padding is skipped. The array is pinned, so that its address stays; the reference that comes back
    // keeps it alive.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static unsafe ref long FirstLineOf(long[] table)
    {
        ref var first = ref MemoryMarshal.GetArrayDataReference(table);
        return ref Unsafe.AddByteOffset(ref first, -(nint)Unsafe.AsPointer(ref first) & (HashBucket.Bytes - 1));
    }

    /// <summary>The table of a shard, and what finds a line in it, side by side: so a read needs neither the length nor the address of the array.</summary>
    private struct TableSlot
    {
        /// <summary>Pinned, of 2^n words and the padding.</summary>
        public long[] Table;

        // What LineMaskOf says. For a table that is smaller it is written before the table, for a larger one behind it; and it is
        // read first. So whoever reads mostly has the mask of the table, or one that is too small.
        private nuint _lineMask;
        private nuint _skipBytes;

        public void Set(long[] table)
        {
            var lineMask = LineMaskOf(table);
            if (lineMask < _lineMask)
            {
                Volatile.Write(ref _lineMask, lineMask);
            }

            Volatile.Write(ref Table, table);
            _skipBytes = (nuint)Unsafe.ByteOffset(ref MemoryMarshal.GetArrayDataReference(table), ref FirstLineOf(table));
            Volatile.Write(ref _lineMask, lineMask);
        }

        /// <summary>
        /// Where in the table's data the home line of a hash nearly always is; to be asked for before the table. While the table is
        /// being replaced it may be another place, where a key that is found is right, but one that is not found may be elsewhere.
        /// </summary>
        /// <remarks>
        /// While a table is replaced by a smaller one the place may be beyond its end: to be compared with its length.
        /// </remarks>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public nuint ProbableOffsetOf(ulong hash) => ((nuint)hash & Volatile.Read(ref _lineMask)) + _skipBytes;
    }

    [InlineArray(ShardCount)]
    private struct TableSlots
    {
        private TableSlot _first;
    }
}
