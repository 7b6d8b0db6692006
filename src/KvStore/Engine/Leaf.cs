using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Engine;

/// <summary>
/// A run of keys in order: for each, the address of a record that holds it, and the 16 bits of the key that follow the
/// prefix which all keys of the leaf share.
/// </summary>
/// <remarks>
/// Most comparisons in a leaf end at those 16 bits, without touching a record. The record need not be the key's newest one:
/// an overwrite doesn't come here. One object, so that a million keys are a few thousand objects.
/// </remarks>
internal sealed class Leaf
{
    /// <summary>The most keys in a leaf.</summary>
    public const int Capacity = 512;

    /// <summary>What a leaf takes in memory, and its place among the leaves.</summary>
    public const int Bytes = (Capacity * sizeof(long)) + 40;

    private const int FragmentShift = 48;

    private Entries _entries;

    /// <summary>The number of keys.</summary>
    public int Count { get; set; }

    /// <summary>How many bytes all keys are known to share at their beginning.</summary>
    public int PrefixBytes { get; set; }

    /// <summary>The entries: the fragment in the high 16 bits, the address in the low 48.</summary>
    public Span<long> All => _entries;

    /// <summary>The entries that are in use.</summary>
    public Span<long> Used => All[..Count];

    /// <summary>Fetches the first entry, so that looking at it need not wait.</summary>
    public unsafe void PrefetchFirst()
    {
        if (Sse.IsSupported)
        {
            // Only a hint to the processor: the leaf may even have moved.
            Sse.Prefetch0(Unsafe.AsPointer(ref MemoryMarshal.GetReference(All)));
        }
    }

    /// <summary>Fetches all entries.</summary>
    public unsafe void Prefetch()
    {
        if (Sse.IsSupported)
        {
            var entries = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(All));
            for (var offset = 0; offset < Capacity * sizeof(long); offset += WordLine.Bytes)
            {
                Sse.Prefetch0(entries + offset);
            }
        }
    }

    /// <summary>The two bytes of a key after a prefix, in the order in which keys are compared; zeros beyond its end.</summary>
    public static int FragmentOf(ReadOnlySpan<byte> key, int prefixBytes)
    {
        var first = prefixBytes < key.Length ? key[prefixBytes] : 0;
        var second = prefixBytes + 1 < key.Length ? key[prefixBytes + 1] : 0;
        return (first << 8) | second;
    }

    /// <summary>The fragment of an entry.</summary>
    public static int FragmentOf(long entry) => (int)((ulong)entry >> FragmentShift);

    /// <summary>An entry of a fragment and an address.</summary>
    public static long EntryOf(int fragment, long address) => ((long)fragment << FragmentShift) | address;

    [InlineArray(Capacity)]
    private struct Entries
    {
        private long _first;
    }
}
