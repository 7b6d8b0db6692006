using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KvStore.Keys;

namespace KvStore.Engine;

/// <summary>
/// Finds the newest record of a key: open addressing over 64-bit words (<see cref="IndexWord"/>), one table a shard.
/// </summary>
/// <remarks>
/// <para>Readers take no lock, write nothing, and never wait. They load the table, then words from the key's home slot on;
/// where the tag fits they load the record's array, and look at the word once more. If it still stands there, the array is
/// the right one (see <see cref="SegmentTable"/>), and the record in it is complete and immutable. If not, they begin
/// again.</para>
/// <para>Writers hold the lock of the shard. What is always true:</para>
/// <list type="number">
/// <item>A key has at most one word, reachable from its home slot without crossing an empty one.</item>
/// <item>A record is complete before its word is written, and the word is one atomic store.</item>
/// <item>A table that is replaced is complete in its successor before that is published, and every one of its words becomes
/// <see cref="IndexWord.Moved"/> before anything else changes in the shard: so nobody trusts an old table's word.</item>
/// </list>
/// <para>The two-miss lookup (one word, one record) follows FASTER's hash index; the tag in the word is theirs as well.</para>
/// </remarks>
internal sealed class HashIndex
{
    /// <summary>The number of shards.</summary>
    public const int ShardCount = 1 << ShardBits;

    /// <summary>The least number of words in a shard's table.</summary>
    public const int WordsMin = 8;

    private const int ShardBits = 6;
    private const int RehashBatch = 16;

    private readonly SegmentTable _segments;
    private readonly long[][] _tables = new long[ShardCount][];

    public HashIndex(SegmentTable segments)
    {
        _segments = segments;
        for (var i = 0; i < _tables.Length; i++)
        {
            _tables[i] = new long[WordsMin];
        }
    }

    /// <summary>The bytes of all tables.</summary>
    public long Bytes => _tables.Sum(table => (long)table.Length * sizeof(long));

    /// <summary>The shard of a hash: its high bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ShardOf(ulong hash) => (int)(hash >> (64 - ShardBits));

    /// <summary>The words of a shard's table, for the holder of its lock.</summary>
    public long[] WordsOf(int shard) => _tables[shard];

    /// <summary>Finds the word and the record of a key; also a tombstone, which the word tells.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryFind<TKey>(in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct
    {
        var hash = key.Hash;
        var tag = IndexWord.TagOf(hash);

    Begin:
        // In bounds: the shard is below ShardCount by its six bits, and the slot is below the table's length, which is a
        // power of two.
        var table = Volatile.Read(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_tables), (nint)(hash >> (64 - ShardBits))));
        ref var words = ref MemoryMarshal.GetArrayDataReference(table);
        var mask = (nuint)(uint)(table.Length - 1);
        var slot = (nuint)hash & mask;
        while (true)
        {
            word = Volatile.Read(ref Unsafe.Add(ref words, slot));
            if ((word & IndexWord.TagMask) == tag)
            {
                var array = _segments.ArrayOf(word);
                if (Volatile.Read(ref Unsafe.Add(ref words, slot)) != word)
                {
                    goto Begin;
                }

                record = new Record(array!, IndexWord.OffsetOf(word));
                if (record.KeyBytes == key.Utf8Bytes && key.Matches(in record.KeyStart))
                {
                    return true;
                }
            }
            else if (word >= 0)
            {
                if (word == IndexWord.Empty)
                {
                    record = default;
                    return false;
                }

                if (word == IndexWord.Moved)
                {
                    goto Begin;
                }
            }

            slot = (slot + 1) & mask;
        }
    }

    /// <summary>Fetches the word at which a search for a hash will begin, so that it need not be waited for.</summary>
    public unsafe void PrefetchWord(ulong hash)
    {
        if (Sse.IsSupported)
        {
            // Only a hint to the processor: the address is not dereferenced, so it may even be stale.
            var table = _tables[ShardOf(hash)];
            Sse.Prefetch0(Unsafe.AsPointer(ref table[(int)((uint)hash & (uint)(table.Length - 1))]));
        }
    }

    /// <summary>Fetches the record that a search for a hash will probably end at.</summary>
    public void PrefetchRecord(ulong hash)
    {
        var tag = IndexWord.TagOf(hash);
        var table = Volatile.Read(ref _tables[ShardOf(hash)]);
        var slot = (int)((uint)hash & (uint)(table.Length - 1));
        for (var word = table[slot]; word != IndexWord.Empty && word != IndexWord.Moved; word = table[slot])
        {
            if ((word & IndexWord.TagMask) == tag)
            {
                Prefetch(_segments.ArrayOf(word), IndexWord.OffsetOf(word));
                return;
            }

            slot = (slot + 1) & (table.Length - 1);
        }
    }

    /// <summary>Finds the slot of the word that holds an address, or -1. Holding the shard's lock.</summary>
    public int SlotOfAddressHoldingLock(ulong hash, long address)
    {
        var words = _tables[ShardOf(hash)];
        var mask = words.Length - 1;
        for (var slot = (int)hash & mask; words[slot] != IndexWord.Empty; slot = (slot + 1) & mask)
        {
            if (words[slot] < 0 && (words[slot] & IndexWord.AddressMask) == address)
            {
                return slot;
            }
        }

        return -1;
    }

    /// <summary>
    /// Finds the slot of a key's word, or, when it has none, where one goes. Holding the shard's lock, with at least one
    /// empty word in the table.
    /// </summary>
    public bool TryFindSlotHoldingLock<TKey>(in TKey key, out int slot, out Record record)
        where TKey : struct, IKey, allows ref struct
    {
        var tag = IndexWord.TagOf(key.Hash);
        var words = _tables[ShardOf(key.Hash)];
        var mask = words.Length - 1;
        var free = -1;
        for (slot = (int)key.Hash & mask; ; slot = (slot + 1) & mask)
        {
            var word = words[slot];
            if ((word & IndexWord.TagMask) == tag)
            {
                record = _segments.RecordAt(word);
                if (record.KeyBytes == key.Utf8Bytes && key.Matches(in record.KeyStart))
                {
                    return true;
                }
            }
            else if (word == IndexWord.Empty)
            {
                slot = free >= 0 ? free : slot;
                record = default;
                return false;
            }
            else if (word == IndexWord.Deleted && free < 0)
            {
                free = slot;
            }
        }
    }

    /// <summary>
    /// Empties a slot. Holding the shard's lock.
    /// </summary>
    /// <returns>How many words became empty: the slot stays marked, and none does, where a search may have to pass it.</returns>
    public int RemoveHoldingLock(int shard, int slot)
    {
        var words = _tables[shard];
        var mask = words.Length - 1;
        if (words[(slot + 1) & mask] != IndexWord.Empty)
        {
            Volatile.Write(ref words[slot], IndexWord.Deleted);
            return 0;
        }

        // No search passes a slot before an empty one, so it and the marks before it can be empty too.
        var emptied = 0;
        do
        {
            Volatile.Write(ref words[slot], IndexWord.Empty);
            emptied++;
            slot = (slot - 1) & mask;
        }
        while (words[slot] == IndexWord.Deleted);
        return emptied;
    }

    /// <summary>Moves a shard's words to a table of another size, without the marks of removed ones. Holding the shard's lock.</summary>
    public void ResizeHoldingLock(int shard, int wordCount)
    {
        var old = _tables[shard];
        var words = new long[wordCount];
        var mask = wordCount - 1;
        Span<long> batch = stackalloc long[RehashBatch];
        var batched = 0;
        for (var i = 0; i <= old.Length; i++)
        {
            // The hash is not kept: it is worked out again from the key, a batch at a time, so that the misses overlap.
            if (batched == batch.Length || (i == old.Length && batched > 0))
            {
                foreach (var word in batch[..batched])
                {
                    var slot = (int)KeyHash.OfUtf8(_segments.RecordAt(word).Key) & mask;
                    while (words[slot] != IndexWord.Empty)
                    {
                        slot = (slot + 1) & mask;
                    }

                    words[slot] = word;
                }

                batched = 0;
            }

            if (i < old.Length && old[i] < 0)
            {
                batch[batched++] = old[i];
                Prefetch(_segments.ArrayOf(old[i]), IndexWord.OffsetOf(old[i]));
            }
        }

        Volatile.Write(ref _tables[shard], words);
        for (var i = 0; i < old.Length; i++)
        {
            Volatile.Write(ref old[i], IndexWord.Moved);
        }
    }

    /// <summary>Replaces a shard's table by an empty one. Holding the shard's lock.</summary>
    public void ClearHoldingLock(int shard)
    {
        var old = _tables[shard];
        Volatile.Write(ref _tables[shard], new long[WordsMin]);
        for (var i = 0; i < old.Length; i++)
        {
            Volatile.Write(ref old[i], IndexWord.Moved);
        }
    }

    /// <summary>Fetches the beginning of a record.</summary>
    public static unsafe void Prefetch(byte[]? segment, int offset)
    {
        if (Sse.IsSupported && segment is not null && (uint)offset < (uint)segment.Length)
        {
            Sse.Prefetch0(Unsafe.AsPointer(ref segment[offset]));
        }
    }
}
