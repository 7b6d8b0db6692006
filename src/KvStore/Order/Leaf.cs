using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KvStore.Index;

namespace KvStore.Order;

/// <summary>
/// A run of keys in order: for each, the address of a record that holds it, and a fragment of 16 bits that says where it
/// stands between the leaf's first key and its last.
/// </summary>
/// <remarks>
/// Most comparisons in a leaf end at those 16 bits, without touching a record. They are the <see cref="AbbreviatedKey"/> behind
/// what all keys of the leaf share, less the lowest one, without the bits that 16 have no room for; a key beyond the range
/// has the lowest or the highest fragment. So they are in the order of the keys, and equal ones say nothing. The record need
/// not be the key's newest one: an overwrite doesn't come here. One object, so that a million keys are a few thousand objects.
/// </remarks>
internal sealed class Leaf
{
    /// <summary>The most keys in a leaf.</summary>
    public const int Capacity = 512;

    /// <summary>What a leaf takes in memory, and its place among the leaves.</summary>
    public const int Bytes = (Capacity * sizeof(long)) + 56;

    private const int FragmentShift = 48;
    private const int FragmentMax = 0xFFFF;

    private Entries _entries;

    /// <summary>The number of keys.</summary>
    public int Count { get; set; }

    /// <summary>How many bytes all keys are known to share at their beginning.</summary>
    public int PrefixBytes { get; set; }

    /// <summary>How many low bits of a window the fragments leave out.</summary>
    public int Shift { get; set; }

    /// <summary>The window of fragment 0, without those bits.</summary>
    public long Low { get; set; }

    /// <summary>The entries: the fragment in the high 16 bits, the address in the low ones.</summary>
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
            for (var offset = 0; offset < Capacity * sizeof(long); offset += HashBucket.Bytes)
            {
                Sse.Prefetch0(entries + offset);
            }
        }
    }

    /// <summary>Whether every second fragment equals the one before it, so that other ones would tell more.</summary>
    public bool IsBlurred
    {
        get
        {
            var equal = 0;
            var entries = Used;
            for (var i = 1; i < entries.Length; i++)
            {
                equal += FragmentOf(entries[i]) == FragmentOf(entries[i - 1]) ? 1 : 0;
            }

            return equal * 2 > entries.Length;
        }
    }

    /// <summary>Lets the fragments cover a range of keys. Those that are there are to be made anew.</summary>
    /// <param name="first">The first key.</param>
    /// <param name="last">The last key.</param>
    /// <param name="sharedBytes">What all of them share.</param>
    /// <param name="preferredBytes">A beginning of that, for the leaf's prefix unless the whole makes the fragments tell more.</param>
    public void SetWindow(ReadOnlySpan<byte> first, ReadOnlySpan<byte> last, int sharedBytes, int preferredBytes)
    {
        PrefixBytes = preferredBytes;
        var low = AbbreviatedKey.Of(first, PrefixBytes);
        var high = AbbreviatedKey.Of(last, PrefixBytes);
        if (high - low < FragmentMax)
        {
            PrefixBytes = sharedBytes;
            low = AbbreviatedKey.Of(first, PrefixBytes);
            high = AbbreviatedKey.Of(last, PrefixBytes);
        }

        Shift = 0;
        while ((high >> Shift) - (low >> Shift) > FragmentMax)
        {
            Shift++;
        }

        Low = (long)(low >> Shift);
    }

    /// <summary>The fragment of a key that has the leaf's prefix.</summary>
    public int FragmentOf(ReadOnlySpan<byte> key) => FragmentOf(AbbreviatedKey.Of(key, PrefixBytes));

    /// <summary>The fragment of the window behind the leaf's prefix.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int FragmentOf(ulong window) => (int)Math.Clamp((long)(window >> Shift) - Low, 0, FragmentMax);

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
