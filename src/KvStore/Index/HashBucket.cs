using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Index;

/// <summary>
/// Eight words of a table that lie in one line of the processor's cache, looked at all at once.
/// </summary>
/// <remarks>
/// Whether a search ends at the first, the third or the fifth word of a line is chance, and a processor that guesses wrong
/// waits for the word and begins again. Comparing all eight leaves it one guess, that the key is in its home line, and that
/// is nearly always right: so it goes on to the record, and to the next get, before the word has come.
/// </remarks>
internal static class HashBucket
{
    /// <summary>The words of a line.</summary>
    public const int Words = 8;

    /// <summary>The bytes of a line.</summary>
    public const int Bytes = Words * sizeof(long);

    private const uint TopBits = 0x8888_8888;

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

    /// <summary>
    /// Which of the eight words have these bits as their highest 16: bit 3 for the first, bit 7 for the second, and so on.
    /// </summary>
    /// <remarks>Apart from the other look, since here the processor masks nothing: it compares parts of words.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint FindTop(ref readonly long line, Vector128<ushort> top)
    {
        // In bounds as above: 32 parts of 16 bits.
        ref var parts = ref Unsafe.As<long, ushort>(ref Unsafe.AsRef(in line));
        if (Avx512BW.IsSupported)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref parts), Avx512BW.BroadcastScalarToVector512(top)).ExtractMostSignificantBits() & TopBits;
        }

        if (Vector256.IsHardwareAccelerated)
        {
            var low = Vector256.Equals(Vector256.LoadUnsafe(ref parts), Vector256.Create(top.ToScalar()));
            var high = Vector256.Equals(Vector256.LoadUnsafe(ref parts, 16), Vector256.Create(top.ToScalar()));
            return (low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 16)) & TopBits;
        }

        var found = 0u;
        for (var i = 0; i < Words; i++)
        {
            found |= ((ulong)Unsafe.Add(ref Unsafe.AsRef(in line), i) >> 48 == top.ToScalar() ? 8u : 0u) << (4 * i);
        }

        return found;
    }

    /// <summary>
    /// Which of the sixteen halves of the words are these bits: bit 0 for the lower half of the first word, bit 1 for its upper
    /// one, and so on.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint FindHalf(ref readonly long line, uint half)
    {
        // In bounds as above: 16 parts of 32 bits.
        ref var halves = ref Unsafe.As<long, uint>(ref Unsafe.AsRef(in line));
        if (Vector512.IsHardwareAccelerated)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref halves), Vector512.Create(half)).ExtractMostSignificantBits();
        }

        var low = Vector256.Equals(Vector256.LoadUnsafe(ref halves), Vector256.Create(half));
        var high = Vector256.Equals(Vector256.LoadUnsafe(ref halves, 8), Vector256.Create(half));
        return low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 8);
    }

    /// <summary>The word of the lowest bit that <see cref="FindTop"/> has found.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref long FirstOf(ref long line, uint found) =>
        // In bounds: the lowest bit is one of 3, 7 .. 31, and twice that is 6 more than the byte where the word begins.
        ref Unsafe.AddByteOffset(ref line, (nint)(2 * LowestBitOf(found)) - 6);

    // Asked for as 64 bits, so that the processor need not be told that the upper half is zero.
    private static nuint LowestBitOf(uint found) =>
        Bmi1.X64.IsSupported ? (nuint)Bmi1.X64.TrailingZeroCount(found) : (nuint)(uint)BitOperations.TrailingZeroCount(found);

    /// <summary>Which of the eight words are exactly a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Find(ref readonly long line, long value) => Find(in line, -1, value);
}
