using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvStore.Engine;

/// <summary>
/// What the values of records that are read again and again were decoded to, so that a hot key costs no allocation: text, or
/// an object that nobody can change.
/// </summary>
/// <remarks>
/// <para>A four-way table from a record's address to what its value was decoded to. An address never means another record, so
/// what is found is always right, and nothing has to be invalidated: an overwritten key has a new address. It holds no segment
/// alive.</para>
/// <para>The four addresses of a set and what they lead to lie in one line of the processor's cache, which is all that a hit
/// touches, and looked at at once.</para>
/// <para>A value is admitted when it is missed again, while no more than three others of its set were, so that keys that are
/// read once push nothing out. Small values only: at the most 8,192 of them, of up to 1 KiB.</para>
/// <para>Thread safety: all members, from any thread. A hit writes nothing and takes no lock. Whoever changes an entry clears
/// its address first and sets it last: a reader who finds the same address before and after has read what belongs to it.</para>
/// </remarks>
internal sealed class DecodedCache
{
    private const int SetBits = 11;
    private const int Ways = 4;
    private const int WordsOfEntry = 2;
    private const int ValueBytesMax = 1024;

    // The words of a set that are addresses, and not references.
    private const uint AddressWords = 0b0101_0101;

    private readonly Lock _gate = new();

    // Made when the first value is decoded: most namespaces hold something else.
    private Table? _table;

    /// <summary>What a record was decoded to, if that is kept; otherwise null.</summary>
    /// <param name="address">The record's address.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public object? Find(long address)
    {
        if (Volatile.Read(ref _table) is { } table)
        {
            // In bounds: a set is below 2^SetBits and behind the padding, and the word that is found is an address in it.
            ref var set = ref table.FirstOf(SetOf(address));
            var found = WordLine.Find(in Unsafe.As<Entry, long>(ref set), address) & AddressWords;
            if (found != 0)
            {
                ref var entry = ref Unsafe.Add(ref set, (nint)(uint)BitOperations.TrailingZeroCount(found) / WordsOfEntry);
                var value = Volatile.Read(ref entry.Value);
                if (Volatile.Read(ref entry.Address) == address)
                {
                    return value;
                }
            }
        }

        return null;
    }

    /// <summary>Decodes the value of a record, which is in memory, as text, and keeps that as <see cref="Offer"/> does.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public string Decode(Record record, long address)
    {
        var text = Utf8Text.Decode(record.Value);
        Offer(record, address, text);
        return text;
    }

    /// <summary>Keeps what a record was decoded to, if it is small and has been decoded before.</summary>
    public void Offer(Record record, long address, object value)
    {
        if (record.ValueBytes > ValueBytesMax)
        {
            return;
        }

        var set = SetOf(address);
        var table = Volatile.Read(ref _table) ?? Interlocked.CompareExchange(ref _table, new Table(), null) ?? _table;
        if (WasMissed(ref table.FirstMissedOf(set), address))
        {
            lock (_gate)
            {
                Admit(table, set, address, value);
            }
        }
    }

    // As many as there are ways, so that as many keys as a set has room for get in, in whatever order they take turns. Racing
    // writers lose a note, and a value is admitted a miss later. In bounds: as many words as a vector has.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool WasMissed(ref long missed, long address)
    {
        var notes = Vector256.LoadUnsafe(ref missed);
        if (Vector256.EqualsAny(notes, Vector256.Create(address)))
        {
            return true;
        }

        Vector256.Shuffle(notes, Vector256.Create(0, 0, 1, 2)).WithElement(0, address).StoreUnsafe(ref missed);
        return false;
    }

    // In the way that has the address, in one that is free, or in place of one chosen by the address: no order of use is kept,
    // since keeping it would make hits write.
    private static void Admit(Table table, int set, long address, object value)
    {
        var entries = MemoryMarshal.CreateSpan(ref table.FirstOf(set), Ways);
        var way = WayOf(entries, address);
        if (way < 0)
        {
            way = WayOf(entries, 0);
        }

        if (way < 0)
        {
            way = (int)((address >> 5) & (Ways - 1));
        }

        ref var entry = ref entries[way];
        Volatile.Write(ref entry.Address, 0);
        Volatile.Write(ref entry.Value, value);
        Volatile.Write(ref entry.Address, address);
    }

    private static int WayOf(ReadOnlySpan<Entry> entries, long address)
    {
        for (var way = 0; way < entries.Length; way++)
        {
            if (entries[way].Address == address)
            {
                return way;
            }
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int SetOf(long address) => (int)((ulong)(address * unchecked((long)0x9E37_79B9_7F4A_7C15)) >> (64 - SetBits));

    // Laid out by hand: left to itself the runtime would put the reference first.
    [StructLayout(LayoutKind.Explicit, Size = WordsOfEntry * sizeof(long))]
    private struct Entry
    {
        [FieldOffset(0)]
        public long Address;

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

            _skipBytes = (nuint)(-address & (WordLine.Bytes - EntryBytes));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public ref Entry FirstOf(int set) => ref Unsafe.AddByteOffset(
            ref MemoryMarshal.GetArrayDataReference(_entries), ((nuint)(uint)set * WordLine.Bytes) + _skipBytes);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public ref long FirstMissedOf(int set) => ref _missed[set * Ways];
    }
}
