using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;

namespace KvStore.Engine;

/// <summary>
/// The decoded text of records that are read again and again, so that a hot key costs no allocation.
/// </summary>
/// <remarks>
/// <para>A four-way table from a record's address to its text. An address never means another record, so what is found is
/// always right, and nothing has to be invalidated: an overwritten key has a new address. It holds no segment alive.</para>
/// <para>A text is admitted at the second miss in its set, so that keys that are read once push nothing out. Small texts
/// only: at the most 8,192 of them, of up to 1 KiB.</para>
/// <para>Thread safety: all members, from any thread. An entry is immutable; racing writers of one slot overwrite each
/// other, and either is right. A hit writes nothing.</para>
/// </remarks>
internal sealed class TextCache
{
    private const int SetBits = 11;
    private const int Ways = 4;
    private const int TextBytesMax = 1024;

    // Made when the first text is read: most namespaces hold something else.
    private Table? _table;

    /// <summary>The text of a record if it is kept; otherwise null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public string? Find(long address)
    {
        if (_table is { } table)
        {
            // In bounds: the set is below 2^SetBits, and the bit that is found is below the number of ways. The addresses of a
            // set share a cache line; only the one that fits is followed to its entry.
            var first = SetOf(address) * Ways;
            var found = Vector256.Equals(
                Vector256.LoadUnsafe(ref MemoryMarshal.GetArrayDataReference(table.Addresses), (nuint)first), Vector256.Create(address));
            var ways = found.ExtractMostSignificantBits();
            if (ways != 0 && table.Entries[first + BitOperations.TrailingZeroCount(ways)] is { } entry && entry.Address == address)
            {
                return entry.Text;
            }
        }

        return null;
    }

    /// <summary>The text of a record.</summary>
    public string Get(Record record, long address) => Find(address) ?? Decode(record, address, SetOf(address));

    private static int SetOf(long address) => (int)((ulong)(address * unchecked((long)0x9E37_79B9_7F4A_7C15)) >> (64 - SetBits));

    private string Decode(Record record, long address, int set)
    {
        var text = Encoding.UTF8.GetString(record.Value);
        if (record.ValueBytes <= TextBytesMax)
        {
            var table = _table ?? Interlocked.CompareExchange(ref _table, new Table(), null) ?? _table;
            if (Volatile.Read(ref table.LastMissed[set]) == address)
            {
                Admit(table, set, new Entry(address, text));
            }
            else
            {
                Volatile.Write(ref table.LastMissed[set], address);
            }
        }

        return text;
    }

    // In a way that is free, or in place of one chosen by the address: no order of use is kept, since keeping it would make
    // hits write.
    private static void Admit(Table table, int set, Entry entry)
    {
        var slots = table.Addresses.AsSpan(set * Ways, Ways);
        var way = slots.IndexOf(0);
        if (way < 0)
        {
            way = (int)((entry.Address >> 5) & (Ways - 1));
        }

        Volatile.Write(ref table.Entries[(set * Ways) + way], entry);
        Volatile.Write(ref slots[way], entry.Address);
    }

    private sealed class Table
    {
        public long[] Addresses { get; } = new long[Ways << SetBits];

        public Entry?[] Entries { get; } = new Entry?[Ways << SetBits];

        public long[] LastMissed { get; } = new long[1 << SetBits];
    }

    private sealed class Entry(long address, string text)
    {
        public long Address { get; } = address;

        public string Text { get; } = text;
    }
}
