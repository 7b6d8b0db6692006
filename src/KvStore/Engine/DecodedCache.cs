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
/// <para>A four-way table from a record's address, and the form in which it is read, to what it was decoded to. An address
/// never means another record, so what is found is always right, and nothing has to be invalidated: an overwritten key has a
/// new address. It holds no segment alive.</para>
/// <para>A value is admitted at the second miss in its set, so that keys that are read once push nothing out. Small values
/// only: at the most 8,192 of them, of up to 1 KiB.</para>
/// <para>Thread safety: all members, from any thread. An entry is immutable; racing writers of one slot overwrite each
/// other, and either is right. A hit writes nothing.</para>
/// </remarks>
internal sealed class DecodedCache
{
    private const int SetBits = 11;
    private const int Ways = 4;
    private const int ValueBytesMax = 1024;

    // Made when the first value is decoded: most namespaces hold something else.
    private Table? _table;

    /// <summary>What a record was decoded to, if that is kept; otherwise null.</summary>
    /// <param name="address">The record's address.</param>
    /// <param name="form">What tells this form from others, by reference: the same that it was offered with.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public object? Find(long address, object form)
    {
        if (_table is { } table)
        {
            // In bounds: the set is below 2^SetBits, and the bit that is found is below the number of ways. The addresses of a
            // set share a cache line; only the one that fits is followed to its entry.
            var first = SetOf(address) * Ways;
            var found = Vector256.Equals(
                Vector256.LoadUnsafe(ref MemoryMarshal.GetArrayDataReference(table.Addresses), (nuint)first), Vector256.Create(address));
            var ways = found.ExtractMostSignificantBits();
            if (ways != 0
                && table.Entries[first + BitOperations.TrailingZeroCount(ways)] is { } entry
                && entry.Address == address
                && ReferenceEquals(entry.Form, form))
            {
                return entry.Value;
            }
        }

        return null;
    }

    /// <summary>Keeps what a record was decoded to, if it is small and has been decoded before.</summary>
    public void Offer(Record record, long address, object form, object value)
    {
        if (record.ValueBytes > ValueBytesMax)
        {
            return;
        }

        var set = SetOf(address);
        var table = _table ?? Interlocked.CompareExchange(ref _table, new Table(), null) ?? _table;
        if (Volatile.Read(ref table.LastMissed[set]) == address)
        {
            Admit(table, set, new Entry(address, form, value));
        }
        else
        {
            Volatile.Write(ref table.LastMissed[set], address);
        }
    }

    // In the way that has the address, in one that is free, or in place of one chosen by the address: no order of use is kept,
    // since keeping it would make hits write.
    private static void Admit(Table table, int set, Entry entry)
    {
        var slots = table.Addresses.AsSpan(set * Ways, Ways);
        var way = slots.IndexOf(entry.Address);
        if (way < 0)
        {
            way = slots.IndexOf(0);
        }

        if (way < 0)
        {
            way = (int)((entry.Address >> 5) & (Ways - 1));
        }

        Volatile.Write(ref table.Entries[(set * Ways) + way], entry);
        Volatile.Write(ref slots[way], entry.Address);
    }

    private static int SetOf(long address) => (int)((ulong)(address * unchecked((long)0x9E37_79B9_7F4A_7C15)) >> (64 - SetBits));

    private sealed class Table
    {
        public long[] Addresses { get; } = new long[Ways << SetBits];

        public Entry?[] Entries { get; } = new Entry?[Ways << SetBits];

        public long[] LastMissed { get; } = new long[1 << SetBits];
    }

    private sealed class Entry(long address, object form, object value)
    {
        public long Address { get; } = address;

        public object Form { get; } = form;

        public object Value { get; } = value;
    }
}
