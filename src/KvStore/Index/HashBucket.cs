using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Index;

/// <summary>
/// A bucket of the hash index: eight entries in one 64-byte cache line, which are compared all at once.
/// </summary>
/// <remarks>
/// Whether a probe ends at the first, the third or the fifth entry of a bucket is chance, and a branch that is mispredicted costs a
/// cache miss that nothing overlaps. Comparing all eight entries leaves one branch: whether the key is in its home bucket. That
/// prediction is nearly always right, so the processor goes on to the record, and to the next get, before the entry has arrived.
/// </remarks>
internal static class HashBucket
{
    /// <summary>The entries of a bucket.</summary>
    public const int Entries = 8;

    /// <summary>The bytes of a bucket.</summary>
    public const int Bytes = Entries * sizeof(long);

    private const uint TagBits = 0x8888_8888;

    /// <summary>
    /// The entries that equal a value in the bits of a mask: bit 0 of the result for the first entry. Each entry is read once, in no
    /// order, and another thread may have changed it since: read it again before trusting it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Find(ref readonly long bucket, long mask, long value)
    {
        // In bounds: a bucket has eight entries. Requires: a bucket begins at the reference.
        ref var entries = ref Unsafe.AsRef(in bucket);
        if (Vector512.IsHardwareAccelerated)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref entries) & Vector512.Create(mask), Vector512.Create(value))
                .ExtractMostSignificantBits();
        }

        if (Vector256.IsHardwareAccelerated)
        {
            var low = Vector256.Equals(Vector256.LoadUnsafe(ref entries) & Vector256.Create(mask), Vector256.Create(value));
            var high = Vector256.Equals(Vector256.LoadUnsafe(ref entries, 4) & Vector256.Create(mask), Vector256.Create(value));
            return low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 4);
        }

        var found = 0u;
        for (var i = 0; i < Entries; i++)
        {
            // No branch, so nothing is predicted.
            found |= ((Unsafe.Add(ref entries, i) & mask) == value ? 1u : 0u) << i;
        }

        return found;
    }

    /// <summary>
    /// The entries whose highest 16 bits equal a tag: bit 3 of the result for the first entry, bit 7 for the second, and so on.
    /// </summary>
    /// <remarks>Faster than <see cref="Find(ref readonly long, long, long)"/>, because it compares parts of entries without masking them.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint FindTag(ref readonly long bucket, Vector128<ushort> tag)
    {
        // In bounds as above: 32 parts of 16 bits.
        ref var parts = ref Unsafe.As<long, ushort>(ref Unsafe.AsRef(in bucket));
        if (Avx512BW.IsSupported)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref parts), Avx512BW.BroadcastScalarToVector512(tag)).ExtractMostSignificantBits() & TagBits;
        }

        if (Vector256.IsHardwareAccelerated)
        {
            var low = Vector256.Equals(Vector256.LoadUnsafe(ref parts), Vector256.Create(tag.ToScalar()));
            var high = Vector256.Equals(Vector256.LoadUnsafe(ref parts, 16), Vector256.Create(tag.ToScalar()));
            return (low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 16)) & TagBits;
        }

        var found = 0u;
        for (var i = 0; i < Entries; i++)
        {
            found |= ((ulong)Unsafe.Add(ref Unsafe.AsRef(in bucket), i) >> 48 == tag.ToScalar() ? 8u : 0u) << (4 * i);
        }

        return found;
    }

    /// <summary>
    /// The halves of entries that equal a value: bit 0 of the result for the lower half of the first entry, bit 1 for its upper half,
    /// and so on.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint FindHalf(ref readonly long bucket, uint half)
    {
        // In bounds as above: 16 parts of 32 bits.
        ref var halves = ref Unsafe.As<long, uint>(ref Unsafe.AsRef(in bucket));
        if (Vector512.IsHardwareAccelerated)
        {
            return (uint)Vector512.Equals(Vector512.LoadUnsafe(ref halves), Vector512.Create(half)).ExtractMostSignificantBits();
        }

        var low = Vector256.Equals(Vector256.LoadUnsafe(ref halves), Vector256.Create(half));
        var high = Vector256.Equals(Vector256.LoadUnsafe(ref halves, 8), Vector256.Create(half));
        return low.ExtractMostSignificantBits() | (high.ExtractMostSignificantBits() << 8);
    }

    /// <summary>The entry of the lowest bit that <see cref="FindTag"/> has found.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref long FirstOf(ref long bucket, uint found)
    {
        // In bounds: the lowest bit is one of 3, 7 .. 31, and twice that is 6 more than the byte where the entry begins.
        Debug.Assert(found != 0 && (found & ~TagBits) == 0, "FindTag has found an entry.");
        return ref Unsafe.AddByteOffset(ref bucket, (nint)(2 * LowestBitOf(found)) - 6);
    }

    // Counted in 64 bits, which saves the instruction that clears the upper half.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static nuint LowestBitOf(uint found) =>
        Bmi1.X64.IsSupported ? (nuint)Bmi1.X64.TrailingZeroCount(found) : (nuint)(uint)BitOperations.TrailingZeroCount(found);

    /// <summary>The entries that equal a value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Find(ref readonly long bucket, long value) => Find(in bucket, -1, value);
}
