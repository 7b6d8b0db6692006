using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// A run of keys in order. Each entry is the address of a record with the key, and a fragment: 16 bits that say where the key is
/// between the leaf's first key and its last.
/// </summary>
/// <remarks>
/// Most comparisons in a leaf end at the fragments, without touching a record. A fragment is the <see cref="AbbreviatedKey"/> behind
/// the prefix of the leaf, minus that of the leaf's first key, without the low bits that do not fit 16. A key outside the range has the
/// lowest or the highest fragment. So fragments are in the order of the keys, and equal fragments decide nothing. The record need
/// not be the key's newest one, because an overwrite does not change a leaf. A leaf is one object, so that a million keys are a few
/// thousand objects.
/// </remarks>
internal sealed class Leaf
{
    /// <summary>The most keys in a leaf.</summary>
    public const int Capacity = 512;

    /// <summary>The bytes of a leaf in memory, with the reference to it.</summary>
    public const int Bytes = (Capacity * sizeof(long)) + 56;

    private const int FragmentShift = 48;
    private const int FragmentMax = 0xFFFF;

    private Entries _entries;

    /// <summary>The number of keys.</summary>
    public int Count { get; set; }

    /// <summary>The length of a prefix that all keys of the leaf have.</summary>
    public int PrefixBytes { get; set; }

    /// <summary>The number of low bits of an abbreviated key that fragments leave out.</summary>
    public int Shift { get; set; }

    /// <summary>The abbreviated key of fragment 0, without those bits.</summary>
    public long Low { get; set; }

    /// <summary>The entries: the fragment in the high 16 bits, the address in the low ones.</summary>
    public Span<long> All => _entries;

    /// <summary>The entries that are in use.</summary>
    public Span<long> Used => All[..Count];

    /// <summary>Prefetches the first entry.</summary>
    public unsafe void PrefetchFirst()
    {
        if (Sse.IsSupported)
        {
            // A prefetch does not dereference the address: the leaf may have moved.
            Sse.Prefetch0(Unsafe.AsPointer(ref MemoryMarshal.GetReference(All)));
        }
    }

    /// <summary>Prefetches all entries.</summary>
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

    /// <summary>Whether more than half of the fragments equal the one before: a narrower range would decide more comparisons.</summary>
    public bool AreFragmentsTooCoarse
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

    /// <summary>Sets the range of keys that fragments cover. The caller then computes every fragment again.</summary>
    /// <param name="first">The first key.</param>
    /// <param name="last">The last key.</param>
    /// <param name="sharedBytes">The length of the longest prefix of all keys.</param>
    /// <param name="preferredBytes">A shorter prefix, which is taken unless the longest one makes fragments finer.</param>
    public void SetRange(ReadOnlySpan<byte> first, ReadOnlySpan<byte> last, int sharedBytes, int preferredBytes)
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

    /// <summary>The fragment of an abbreviated key behind the leaf's prefix.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int FragmentOf(ulong abbreviated) => (int)Math.Clamp((long)(abbreviated >> Shift) - Low, 0, FragmentMax);

    /// <summary>The fragment of an entry.</summary>
    public static int FragmentOf(long entry) => (int)((ulong)entry >> FragmentShift);

    /// <summary>An entry of a fragment and an address.</summary>
    public static long EntryOf(int fragment, long address)
    {
        Debug.Assert(fragment is >= 0 and <= FragmentMax);
        Debug.Assert((address & ~RecordAddress.Mask) == 0);
        return ((long)fragment << FragmentShift) | address;
    }

    [InlineArray(Capacity)]
    private struct Entries
    {
        private long _first;
    }
}
