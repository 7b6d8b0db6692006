using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvStore.Keys;

/// <summary>
/// The 64-bit hash of a key's UTF-8 bytes, seeded at random per process, so that nobody can choose keys that pile up in
/// one place.
/// </summary>
/// <remarks>
/// <para>A key becomes two blocks of 16 bytes, <c>first</c> and <c>last</c>, which overlap where it has fewer than 32; what
/// a longer key has before them is folded into both. Then three rounds of a keyed permutation (<see cref="HashRound"/>), two
/// for each block by itself and one over both and the length: after the second every byte of a block has reached every
/// other, after the third also where the keys differ in a few bytes only.</para>
/// <para>ASCII text is narrowed in vector registers, never through memory, and gives the same hash as its UTF-8 bytes.</para>
/// </remarks>
internal static class KeyHash
{
    /// <summary>The least length of a key whose blocks are simply its beginning and its end.</summary>
    public const int BlockBytes = 16;

    private static readonly Vector128<byte> s_secret0 = HashRound.NewSecret();
    private static readonly Vector128<byte> s_secret1 = HashRound.NewSecret();
    private static readonly Vector128<byte> s_secret2 = HashRound.NewSecret();
    private static readonly Vector128<byte> s_secret3 = HashRound.NewSecret();
    private static readonly Vector128<byte> s_secret4 = HashRound.NewSecret();

    /// <summary>The hash of a key in UTF-8.</summary>
    public static ulong OfUtf8(ReadOnlySpan<byte> key)
    {
        ref var bytes = ref MemoryMarshal.GetReference(key);
        var length = key.Length;

        // Every read below starts at 0 or later and ends at length or before, by the comparison that guards it.
        if (length >= BlockBytes)
        {
            var first = Vector128.LoadUnsafe(ref bytes);
            var last = Vector128.LoadUnsafe(ref bytes, (nuint)length - BlockBytes);
            if (length <= 2 * BlockBytes)
            {
                return OfBlocks(first, last, length);
            }

            var (a, b) = (s_secret0, s_secret1);
            for (var i = 0; i < length - (2 * BlockBytes); i += 2 * BlockBytes)
            {
                Absorb(ref a, ref b, Vector128.LoadUnsafe(ref bytes, (nuint)i), Vector128.LoadUnsafe(ref bytes, (nuint)i + BlockBytes));
            }

            return OfBlocks(a ^ Vector128.LoadUnsafe(ref bytes, (nuint)length - (2 * BlockBytes)), b ^ last, length);
        }

        if (length >= 8)
        {
            return OfBlocks(Pair(Read64(ref bytes, 0), Read64(ref bytes, length - 8)), Vector128<byte>.Zero, length);
        }

        if (length >= 4)
        {
            return OfBlocks(Pair(Read32(ref bytes, 0), Read32(ref bytes, length - 4)), Vector128<byte>.Zero, length);
        }

        return length == 0
            ? OfBlocks(Vector128<byte>.Zero, Vector128<byte>.Zero, 0)
            : OfFew(bytes, Unsafe.Add(ref bytes, length >> 1), Unsafe.Add(ref bytes, length - 1), length);
    }

    /// <summary>The hash of a key that is ASCII; false when it is not.</summary>
    public static bool TryOfAscii(string key, out ulong hash)
    {
        ref var chars = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(key.AsSpan()));
        var length = key.Length;

        // In bounds as in OfUtf8: the same offsets, counted in characters.
        if (length > 2 * BlockBytes)
        {
            return TryOfLongAscii(ref chars, length, out hash);
        }

        if (length >= BlockBytes)
        {
            if (AsciiBlocks.TryLoad(ref chars, length, out var first, out var last))
            {
                hash = OfBlocks(first, last, length);
                return true;
            }
        }
        else if (length >= 8)
        {
            if (AsciiBlocks.TryLoadHalves(ref chars, length, out var halves))
            {
                hash = OfBlocks(halves, Vector128<byte>.Zero, length);
                return true;
            }
        }
        else if (length >= 4)
        {
            var low = Unsafe.ReadUnaligned<ulong>(ref Unsafe.As<ushort, byte>(ref chars));
            var high = Unsafe.ReadUnaligned<ulong>(ref Unsafe.As<ushort, byte>(ref Unsafe.Add(ref chars, length - 4)));
            if (((low | high) & 0xFF80_FF80_FF80_FF80) == 0)
            {
                hash = OfBlocks(Pair(NarrowFour(low), NarrowFour(high)), Vector128<byte>.Zero, length);
                return true;
            }
        }
        else if (length > 0)
        {
            var (first, middle, final) = (chars, Unsafe.Add(ref chars, length >> 1), Unsafe.Add(ref chars, length - 1));
            if ((first | middle | final) < 0x80)
            {
                hash = OfFew(first, middle, final, length);
                return true;
            }
        }
        else
        {
            hash = OfBlocks(Vector128<byte>.Zero, Vector128<byte>.Zero, 0);
            return true;
        }

        hash = 0;
        return false;
    }

    /// <summary>The hash of a key of 16 to 32 bytes by its first and its last 16; or of a shorter one by its halves and nothing.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong OfBlocks(Vector128<byte> first, Vector128<byte> last, int length) => InRegisterOfBlocks(first, last, length).ToScalar();

    /// <summary>As <see cref="OfBlocks"/>, with the hash as the lowest element of a vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<ulong> InRegisterOfBlocks(Vector128<byte> first, Vector128<byte> last, int length)
    {
        // The length only comes in where nobody knows what it meets: mixed with a block of the key, another key could undo it.
        var a = HashRound.Of(HashRound.Of(first ^ s_secret0, s_secret1), s_secret2);
        var b = HashRound.Of(HashRound.Of(last ^ s_secret3, s_secret4), s_secret0);
        return HashRound.Of(a ^ b ^ Vector128.CreateScalar((ulong)(uint)length).AsByte(), s_secret3).AsUInt64();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryOfLongAscii(ref readonly ushort chars, int length, out ulong hash)
    {
        ref var start = ref Unsafe.AsRef(in chars);
        var (a, b) = (s_secret0, s_secret1);
        var i = 0;
        for (; i < length - (2 * BlockBytes); i += 2 * BlockBytes)
        {
            if (!AsciiBlocks.TryLoad(ref Unsafe.Add(ref start, i), 2 * BlockBytes, out var even, out var odd))
            {
                hash = 0;
                return false;
            }

            Absorb(ref a, ref b, even, odd);
        }

        if (!AsciiBlocks.TryLoad(ref Unsafe.Add(ref start, length - (2 * BlockBytes)), 2 * BlockBytes, out var first, out var last))
        {
            hash = 0;
            return false;
        }

        hash = OfBlocks(a ^ first, b ^ last, length);
        return true;
    }

    // Two rounds, so that no byte of the next block undoes what one of this block has done.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Absorb(ref Vector128<byte> a, ref Vector128<byte> b, Vector128<byte> even, Vector128<byte> odd)
    {
        a = HashRound.Of(HashRound.Of(a ^ even, s_secret2), s_secret3);
        b = HashRound.Of(HashRound.Of(b ^ odd, s_secret4), s_secret2);
    }

    private static ulong OfFew(int first, int middle, int final, int length) =>
        OfBlocks(Pair(((ulong)first << 16) | ((ulong)middle << 8) | (uint)final, 0), Vector128<byte>.Zero, length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Pair(ulong low, ulong high) => Vector128.Create(low, high).AsByte();

    // Four UTF-16 units below 0x80, one in each 16 bits, to four bytes.
    private static ulong NarrowFour(ulong units)
    {
        units = (units | (units >> 8)) & 0x0000_FFFF_0000_FFFF;
        return (units | (units >> 16)) & 0xFFFF_FFFF;
    }

    // Little-endian on every machine, so that the narrowed text and the bytes agree.
    private static ulong Read64(ref byte bytes, int offset) =>
        Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref bytes, offset));

    private static ulong Read32(ref byte bytes, int offset) =>
        Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref bytes, offset));
}
