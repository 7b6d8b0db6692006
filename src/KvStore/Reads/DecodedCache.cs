using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvStore.Index;
using KvStore.Records;

namespace KvStore.Reads;

/// <summary>
/// A cache of decoded values, texts or immutable objects, so that reading a hot key allocates nothing.
/// </summary>
/// <remarks>
/// <para>A four-way set-associative table from a record's revision to its decoded value. A revision always has one value, so a hit is
/// always right, and nothing is ever invalidated: an overwritten key has a new revision, and a record that the cleaner moves keeps its
/// revision. The cache keeps no segment alive. The set is chosen by the hash of the key, not by the revision, so that the processor
/// loads the set before it has the record.</para>
/// <para>The four revisions of a set and their values lie in one cache line, which is all that a hit touches, and are compared at
/// once.</para>
/// <para>A value is admitted at its second miss, when at most three other values of its set were missed in between. So keys that are
/// read once evict nothing. The cache has at most 8,192 values, of up to 1 KiB each.</para>
/// <para>Thread safety: all members, from any thread. A hit writes nothing and takes no lock. A change of an
/// entry clears its revision first and sets it last, together with the number of the change. A reader who finds both unchanged after
/// loading the value has loaded the value of that revision. The revision alone is not enough, because it may have left and come back.
/// The numbers wrap around after 65,536 changes of one entry, all of which would have to happen between three loads in a row.</para>
/// </remarks>
internal sealed class DecodedCache
{
    private const int SetBits = 11;
    private const int SetShift = 28;
    private const int Ways = 4;
    private const int WordsOfEntry = 2;
    private const int ValueBytesMax = 1024;

    // Two revisions that are equal in these bits are 2^48 mutations apart, which is nine years of a million mutations a second.
    private const int ChangeBits = 16;
    private const long RevisionMask = (1L << (64 - ChangeBits)) - 1;
    private const long NextChange = RevisionMask + 1;

    // The lower halves of the revisions, among the sixteen 32-bit halves of a set.
    private const uint RevisionHalves = 0b0001_0001_0001_0001;

    private readonly Lock _lock = new();

    // Created when the first value is decoded, because most namespaces have values that are not decoded.
    private Table? _table;

    /// <summary>The decoded value of a record, if it is cached; otherwise null.</summary>
    /// <param name="hash">The hash of the record's key.</param>
    /// <param name="revision">The record's revision.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public object? Find(ulong hash, long revision)
    {
        if (Volatile.Read(ref _table) is { } table)
        {
            // In bounds: a set is below 2^SetBits and behind the padding, and the half that is found begins an entry in it.
            ref var set = ref table.FirstOf(hash);
            var found = HashBucket.FindHalf(in Unsafe.As<Entry, long>(ref set), (uint)revision) & RevisionHalves;
            if (found != 0)
            {
                ref var entry = ref Unsafe.AddByteOffset(ref set, (nint)(uint)BitOperations.TrailingZeroCount(found) * sizeof(uint));
                var word = Volatile.Read(ref entry.Word);
                var value = Volatile.Read(ref entry.Value);
                if (IsOf(word, revision) && Volatile.Read(ref entry.Word) == word)
                {
                    return value;
                }
            }
        }

        return null;
    }

    /// <summary>Decodes the value of a record, which is in memory, as text, and offers the text to the cache.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public string Decode(ulong hash, Record record)
    {
        var text = Utf8Text.Decode(record.Value);
        Offer(hash, record, text);
        return text;
    }

    /// <summary>Caches the decoded value of a record, if it is small and was missed before.</summary>
    /// <param name="hash">The hash of the record's key.</param>
    /// <param name="record">The record.</param>
    /// <param name="value">The decoded value.</param>
    public void Offer(ulong hash, Record record, object value)
    {
        if (record.ValueBytes > ValueBytesMax)
        {
            return;
        }

        var table = Volatile.Read(ref _table) ?? Interlocked.CompareExchange(ref _table, new Table(), null) ?? _table;
        if (WasMissed(ref table.FirstMissedOf(hash), record.Revision))
        {
            lock (_lock)
            {
                Admit(table, hash, record.Revision, value);
            }
        }
    }

    // A set has as many notes as ways, so that it admits as many keys as it has ways, in any order of reads. Racing writers may lose a
    // note; then a value is admitted one miss later. In bounds: a vector has as many elements as a set has notes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool WasMissed(ref long missed, long revision)
    {
        var notes = Vector256.LoadUnsafe(ref missed);
        if (Vector256.EqualsAny(notes, Vector256.Create(revision)))
        {
            return true;
        }

        Vector256.Shuffle(notes, Vector256.Create(0, 0, 1, 2)).WithElement(0, revision).StoreUnsafe(ref missed);
        return false;
    }

    // Into the way that has the revision, into a free way, or into a way chosen by the revision. No order of use is kept, because then
    // hits would write.
    private static void Admit(Table table, ulong hash, long revision, object value)
    {
        Debug.Assert(SetOf(hash) < 1 << SetBits);
        var entries = MemoryMarshal.CreateSpan(ref table.FirstOf(hash), Ways);
        var way = WayOf(entries, revision);
        if (way < 0)
        {
            way = WayOf(entries, 0);
        }

        if (way < 0)
        {
            way = (int)(revision & (Ways - 1));
        }

        ref var entry = ref entries[way];
        var change = (entry.Word & ~RevisionMask) + NextChange;
        Volatile.Write(ref entry.Word, change);
        Volatile.Write(ref entry.Value, value);
        Volatile.Write(ref entry.Word, change | (revision & RevisionMask));
    }

    private static int WayOf(ReadOnlySpan<Entry> entries, long revision)
    {
        for (var way = 0; way < entries.Length; way++)
        {
            if (IsOf(entries[way].Word, revision))
            {
                return way;
            }
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsOf(long word, long revision) => (word ^ revision) << ChangeBits == 0;

    // Bits of the hash that choose neither the shard nor the bucket of a table that is not very large.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint SetOf(ulong hash) => (nuint)(hash >> SetShift) & ((1 << SetBits) - 1);

    // An explicit layout, because the runtime would put the reference first.
    [StructLayout(LayoutKind.Explicit, Size = WordsOfEntry * sizeof(long))]
    private struct Entry
    {
        // The revision, and above it the number of the change that put it here.
        [FieldOffset(0)]
        public long Word;

        [FieldOffset(sizeof(long))]
        public object? Value;
    }

    private sealed class Table
    {
        private const int EntryBytes = WordsOfEntry * sizeof(long);
        private const int AllocationsMax = 4;

        // Pinned, so that each set stays in one cache line. The array has a few more entries, which are skipped for that.
        private readonly Entry[] _entries;
        private readonly nuint _skipBytes;

        // The last that were missed, for each set.
        private readonly long[] _missed = new long[Ways << SetBits];

        public unsafe Table()
        {
            // Only whole entries can be skipped, and an array begins at a multiple of 8 bytes, so arrays are allocated until one
            // begins at a multiple of an entry. If none does, a set spans two cache lines, and hits are slower.
            var allocations = 0;
            nint address;
            do
            {
                _entries = GC.AllocateArray<Entry>((Ways << SetBits) + Ways, pinned: true);
                address = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_entries));
            }
            while (address % EntryBytes != 0 && ++allocations < AllocationsMax);

            _skipBytes = (nuint)(-address & (HashBucket.Bytes - EntryBytes));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public ref Entry FirstOf(ulong hash) => ref Unsafe.AddByteOffset(
            ref MemoryMarshal.GetArrayDataReference(_entries), (SetOf(hash) * HashBucket.Bytes) + _skipBytes);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public ref long FirstMissedOf(ulong hash) => ref _missed[(int)SetOf(hash) * Ways];
    }
}
