using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>
/// A run of keys in order. Each entry is the address of a record with the key, and a scaled key: 16 bits for the position of the key
/// between the leaf's first key and its last.
/// </summary>
/// <remarks>
/// Most comparisons in a leaf end at the scaled keys, without touching a record. A scaled key is the <see cref="AbbreviatedKey"/> of the
/// bytes after the prefix of the leaf, minus that of the leaf's first key, without the low bits that do not fit 16 bits. A key outside
/// the range has the lowest or the highest scaled key. So scaled keys are in the order of the keys, and equal scaled keys decide
/// nothing. The record need not be the newest of its key, because an overwrite does not change a leaf. A leaf is one object, so a
/// million keys are a few thousand objects.
/// </remarks>
internal sealed class Leaf
{
    /// <summary>The most keys in a leaf.</summary>
    public const int Capacity = 512;

    /// <summary>The bytes of a leaf in memory, with the reference to it.</summary>
    public const int Bytes = (Capacity * sizeof(long)) + 56;

    private const int ScaledKeyShift = 48;
    private const int ScaledKeyMax = 0xFFFF;

    private Entries _entries;

    /// <summary>The number of keys.</summary>
    public int Count { get; set; }

    /// <summary>The length of a prefix that all keys of the leaf have.</summary>
    public int PrefixBytes { get; set; }

    /// <summary>The number of low bits of an abbreviated key that scaled keys leave out.</summary>
    public int Shift { get; set; }

    /// <summary>The abbreviated key of scaled key 0, without those bits.</summary>
    public long Low { get; set; }

    /// <summary>The entries: the scaled key in the high 16 bits, the address in the low 48.</summary>
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

    /// <summary>Whether more than half of the scaled keys equal the scaled key before. A narrower range then decides more comparisons.</summary>
    public bool AreScaledKeysTooCoarse
    {
        get
        {
            var equal = 0;
            var entries = Used;
            for (var i = 1; i < entries.Length; i++)
            {
                equal += ScaledKeyOf(entries[i]) == ScaledKeyOf(entries[i - 1]) ? 1 : 0;
            }

            return equal * 2 > entries.Length;
        }
    }

    /// <summary>Sets the range of keys that scaled keys cover. The caller then computes every scaled key again.</summary>
    /// <param name="first">The first key.</param>
    /// <param name="last">The last key.</param>
    /// <param name="sharedBytes">The length of the longest prefix of all keys.</param>
    /// <param name="preferredBytes">The length of a shorter prefix, which is taken unless the longest one makes scaled keys finer.</param>
    public void SetRange(ReadOnlySpan<byte> first, ReadOnlySpan<byte> last, int sharedBytes, int preferredBytes)
    {
        PrefixBytes = preferredBytes;
        var low = AbbreviatedKey.Of(first, PrefixBytes);
        var high = AbbreviatedKey.Of(last, PrefixBytes);
        if (high - low < ScaledKeyMax)
        {
            PrefixBytes = sharedBytes;
            low = AbbreviatedKey.Of(first, PrefixBytes);
            high = AbbreviatedKey.Of(last, PrefixBytes);
        }

        Shift = 0;
        while ((high >> Shift) - (low >> Shift) > ScaledKeyMax)
        {
            Shift++;
        }

        Low = (long)(low >> Shift);
    }

    /// <summary>The scaled key of a key that has the leaf's prefix.</summary>
    public int ScaledKeyOf(ReadOnlySpan<byte> key) => ScaledKeyOf(AbbreviatedKey.Of(key, PrefixBytes));

    /// <summary>The scaled key of an abbreviated key behind the leaf's prefix.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ScaledKeyOf(ulong abbreviated) => (int)Math.Clamp((long)(abbreviated >> Shift) - Low, 0, ScaledKeyMax);

    /// <summary>The scaled key of an entry.</summary>
    public static int ScaledKeyOf(long entry) => (int)((ulong)entry >> ScaledKeyShift);

    /// <summary>An entry of a scaled key and an address.</summary>
    public static long EntryOf(int scaledKey, long address)
    {
        Debug.Assert(scaledKey is >= 0 and <= ScaledKeyMax);
        Debug.Assert((address & ~RecordAddress.Mask) == 0);
        return ((long)scaledKey << ScaledKeyShift) | address;
    }

    [InlineArray(Capacity)]
    private struct Entries
    {
        private long _first;
    }
}
