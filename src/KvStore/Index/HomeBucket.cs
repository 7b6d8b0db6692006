using System.Numerics;
using System.Runtime.CompilerServices;

namespace KvStore.Index;

/// <summary>
/// Where a word goes in a table of some size: told by the hash of its key, and mostly also by the word itself and where it
/// lies in another table, so that a table can be replaced without a look at the keys.
/// </summary>
/// <remarks>
/// A table of 2^n lines has its words in the lines that the low n bits of their hashes choose. A larger one takes more bits, and
/// to work the hash out again would take the key, somewhere in memory. So each word carries four more bits, and every fourth
/// doubling only, when they are used up, reads the keys again; as does whatever has found its home line full, and lies
/// elsewhere.
/// </remarks>
internal static class HomeBucket
{
    /// <summary>The bits of a word that are about its place. An overwrite leaves them as they are.</summary>
    public const long Mask = (CarriedMask << CarriedShift) | StrayBit;

    private const int CarriedBits = 4;
    private const long CarriedMask = (1 << CarriedBits) - 1;
    private const int CarriedShift = 44;
    private const long StrayBit = 1L << 43;

    // The bits of a hash below those that choose a line: the place in a line, and the part of a word.
    private const int LineShift = 6;

    /// <summary>The home line of a hash, as the slot of its first word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int HomeOf(ulong hash, int wordCount) => (int)(hash / sizeof(long)) & (wordCount - HashBucket.Words);

    /// <summary>What a word says of its place, in a slot of a table.</summary>
    public static long Of(ulong hash, int slot, int wordCount) =>
        ((long)(hash >> (LineShift + FirstCarriedOf(wordCount))) & CarriedMask) << CarriedShift
            | ((slot & -HashBucket.Words) == HomeOf(hash, wordCount) ? 0 : StrayBit);

    /// <summary>Whether the words of a table tell where they go in one of another size, but for those that have strayed.</summary>
    public static bool AreTold(int wordCount, int newWordCount) => FirstCarriedOf(newWordCount) <= FirstCarriedOf(wordCount);

    /// <summary>Whether a word is not in its home line, and so says nothing of where that is.</summary>
    public static bool HasStrayed(long word) => (word & StrayBit) != 0;

    /// <summary>As much of a hash as a word in its home line tells: all that its place in a table takes for which that is enough.</summary>
    public static ulong HashOf(long word, int slot, int wordCount) =>
        ((ulong)(uint)(slot & -HashBucket.Words) * sizeof(long))
            | ((ulong)((word >> CarriedShift) & CarriedMask) << (LineShift + FirstCarriedOf(wordCount)));

    // The first of the carried bits, counted from the lowest that chooses a line. The table's own size is never beyond them: with
    // n line bits it is one of n - 3 to n, so that at least one more is known.
    private static int FirstCarriedOf(int wordCount)
    {
        var lineBits = BitOperations.Log2((uint)wordCount / HashBucket.Words);
        return Math.Max(0, ((lineBits + 2) & -CarriedBits) - 2);
    }
}
