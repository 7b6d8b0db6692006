using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KvStore.Engine;

/// <summary>
/// Eight words of a table that lie in one line of the processor's cache, looked at all at once.
/// </summary>
/// <remarks>
/// Whether a search ends at the first, the third or the fifth word of a line is chance, and a processor that guesses wrong
/// waits for the word and begins again. Comparing all eight leaves it one guess, that the key is in its home line, and that
/// is nearly always right: so it goes on to the record, and to the next get, before the word has come.
/// </remarks>
internal static class WordLine
{
    /// <summary>The words of a line.</summary>
    public const int Words = 8;

    /// <summary>The bytes of a line.</summary>
    public const int Bytes = Words * sizeof(long);

    /// <summary>
    /// Which of the eight words equal a value where a mask has ones: bit 0 for the first. Each word is looked at once, in
    /// no order, and another thread may have changed it since: look at it again before trusting it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Find(ref readonly long line, long mask, long value)
    {
        // In bounds: a line has eight words, and the caller vouches that one begins here.
        ref var words = ref Unsafe.AsRef(in line);
        if (Vector512.IsHardwareAccelerated)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref words) & Vector512.Create(mask), Vector512.Create(value))
                .ExtractMostSignificantBits();
        }

        if (Vector256.IsHardwareAccelerated)
        {
            var low = Vector256.Equals(Vector256.LoadUnsafe(ref words) & Vector256.Create(mask), Vector256.Create(value));
            var high = Vector256.Equals(Vector256.LoadUnsafe(ref words, 4) & Vector256.Create(mask), Vector256.Create(value));
            return low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 4);
        }

        var found = 0u;
        for (var i = 0; i < Words; i++)
        {
            // No branch: a bit that is set or not is not guessed.
            found |= ((Unsafe.Add(ref words, i) & mask) == value ? 1u : 0u) << i;
        }

        return found;
    }

    /// <summary>Which of the eight words are exactly a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Find(ref readonly long line, long value) => Find(in line, -1, value);
}
