using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using KvStore.Index;
using KvStore.Records;

namespace KvStore.Reads;

/// <summary>
/// What the values of records that are read again and again were decoded to, so that a hot key costs no allocation: text, or
/// an object that nobody can change.
/// </summary>
/// <remarks>
/// <para>A four-way table from a record's revision to what its value was decoded to. A revision never means another value, so
/// what is found is always right, and nothing has to be invalidated: an overwritten key has a new one, and a record that the
/// cleaner moved has its old one. It holds no segment alive. The hash of the key says where to look, and not the revision: so
/// the processor looks before it has the record.</para>
/// <para>The four revisions of a set and what they lead to lie in one line of the processor's cache, which is all that a hit
/// touches, and looked at at once.</para>
/// <para>A value is admitted when it is missed again, while no more than three others of its set were, so that keys that are
/// read once push nothing out. Small values only: at the most 8,192 of them, of up to 1 KiB.</para>
/// <para>Thread safety: all members, from any thread. A hit writes nothing and takes no lock. Whoever changes an entry clears
/// its revision first and sets it last, beside the number of the change: a reader who finds the same of both before and after
/// has read what belongs to the revision. The revision alone would not do: it may have left and come back. The numbers come
/// around after 65,536 changes of one entry, all of which would have to fall between three loads in a row, and end between
/// the last two.</para>
/// </remarks>
internal sealed class DecodedCache
{
    private const int SetBits = 11;
    private const int SetShift = 28;
    private const int Ways = 4;
    private const int WordsOfEntry = 2;
    private const int ValueBytesMax = 1024;

    // Two revisions that are equal in these are 2^48 mutations apart: nine years of a million a second.
    private const int ChangeBits = 16;
    private const long RevisionMask = (1L << (64 - ChangeBits)) - 1;
    private const long NextChange = RevisionMask + 1;

    // Of the sixteen halves of words in a set, the lower ones of those that have revisions, and are not references.
    private const uint RevisionHalves = 0b0001_0001_0001_0001;

    private readonly Lock _gate = new();

    // Made when the first value is decoded: most namespaces hold something else.
    private Table? _table;

    /// <summary>What a record was decoded to, if that is kept; otherwise null.</summary>
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

    /// <summary>Decodes the value of a record, which is in memory, as text, and keeps that as <see cref="Offer"/> does.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public string Decode(ulong hash, Record record)
    {
        var text = Utf8Text.Decode(record.Value);
        Offer(hash, record, text);
        return text;
    }

    /// <summary>Keeps what a record was decoded to, if it is small and has been decoded before.</summary>
    /// <param name="hash">The hash of the record's key.</param>
    /// <param name="record">The record.</param>
    /// <param name="value">What it was decoded to.</param>
    public void Offer(ulong hash, Record record, object value)
    {
        if (record.ValueBytes > ValueBytesMax)
        {
            return;
        }

        var table = Volatile.Read(ref _table) ?? Interlocked.CompareExchange(ref _table, new Table(), null) ?? _table;
        if (WasMissed(ref table.FirstMissedOf(hash), record.Revision))
        {
            lock (_gate)
            {
                Admit(table, hash, record.Revision, value);
            }
        }
    }

    // As many as there are ways, so that as many keys as a set has room for get in, in whatever order they take turns. Racing
    // writers lose a note, and a value is admitted a miss later. In bounds: as many words as a vector has.
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

    // In the way that has the revision, in one that is free, or in place of one chosen by the revision: no order of use is kept,
    // since keeping it would make hits write.
    private static void Admit(Table table, ulong hash, long revision, object value)
    {
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

    // Of the bits of a hash, some that choose neither the shard nor a line of a table that is not very large.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint SetOf(ulong hash) => (nuint)(hash >> SetShift) & ((1 << SetBits) - 1);

    // Laid out by hand: left to itself the runtime would put the reference first.
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

        // Pinned, so that its sets stay where lines of the cache begin; longer by what has to be skipped for that.
        private readonly Entry[] _entries;
        private readonly nuint _skipBytes;

        // The last that were missed, for each set.
        private readonly long[] _missed = new long[Ways << SetBits];

        public unsafe Table()
        {
            // Only whole entries can be skipped. An array begins at a multiple of 8 bytes, which does for every other one; where none
            // does the sets are as right, only not each in one line.
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
