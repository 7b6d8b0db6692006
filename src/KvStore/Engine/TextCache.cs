using System.Text;

namespace KvStore.Engine;

/// <summary>
/// The decoded text of records that are read again and again, so that a hot key costs no allocation.
/// </summary>
/// <remarks>
/// <para>A direct-mapped table from a record's address to its text. An address never means another record, so what is found
/// is always right, and nothing has to be invalidated: an overwritten key has a new address. It holds no segment alive.</para>
/// <para>A text is admitted at the second miss in its slot, so that keys that are read once push nothing out. Small texts
/// only: at the most 4,096 of them, of up to 1 KiB.</para>
/// <para>Thread safety: all members, from any thread. An entry is immutable; racing writers of one slot overwrite each
/// other, and either is right. A hit writes nothing.</para>
/// </remarks>
internal sealed class TextCache
{
    private const int SlotBits = 12;
    private const int TextBytesMax = 1024;

    // Made when the first text is read: most namespaces hold something else.
    private Slots? _slots;

    /// <summary>The text of a record.</summary>
    public string Get(Record record, long address)
    {
        var slot = (int)((ulong)(address * unchecked((long)0x9E37_79B9_7F4A_7C15)) >> (64 - SlotBits));
        return _slots is { } slots && slots.Entries[slot] is { } entry && entry.Address == address
            ? entry.Text
            : Decode(record, address, slot);
    }

    private string Decode(Record record, long address, int slot)
    {
        var text = Encoding.UTF8.GetString(record.Value);
        if (record.ValueBytes <= TextBytesMax)
        {
            var slots = _slots ?? Interlocked.CompareExchange(ref _slots, new Slots(), null) ?? _slots;
            if (Volatile.Read(ref slots.LastMissed[slot]) == address)
            {
                Volatile.Write(ref slots.Entries[slot], new Entry(address, text));
            }
            else
            {
                Volatile.Write(ref slots.LastMissed[slot], address);
            }
        }

        return text;
    }

    private sealed class Slots
    {
        public Entry?[] Entries { get; } = new Entry?[1 << SlotBits];

        public long[] LastMissed { get; } = new long[1 << SlotBits];
    }

    private sealed class Entry(long address, string text)
    {
        public long Address { get; } = address;

        public string Text { get; } = text;
    }
}
