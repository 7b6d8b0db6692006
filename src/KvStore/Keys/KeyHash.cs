using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Security.Cryptography;

namespace KvStore.Keys;

/// <summary>
/// The 64-bit hash of a key's UTF-8 bytes, seeded at random per process, so that nobody can choose keys that pile up in
/// one place.
/// </summary>
/// <remarks>
/// Multiply-and-fold over 16-byte blocks, the last of which overlaps the one before (the scheme of wyhash). ASCII text is
/// narrowed in vector registers, never through memory, and gives the same hash as its UTF-8 bytes.
/// </remarks>
internal static class KeyHash
{
    private static readonly ulong s_seed = RandomSeed();
    private static readonly ulong s_secret1 = RandomSeed() | 1;
    private static readonly ulong s_secret2 = RandomSeed() | 1;

    /// <summary>The hash of a key in UTF-8.</summary>
    public static ulong OfUtf8(ReadOnlySpan<byte> key)
    {
        ref var bytes = ref MemoryMarshal.GetReference(key);
        var length = key.Length;
        ulong a;
        ulong b;
        var state = s_seed;

        // Every read below starts at 0 or later and ends at length or before, by the comparison that guards it.
        if (length >= 8)
        {
            if (length > 16)
            {
                for (var i = 0; i < length - 16; i += 16)
                {
                    state = Fold(Read64(ref bytes, i) ^ s_secret1, Read64(ref bytes, i + 8) ^ state);
                }

                a = Read64(ref bytes, length - 16);
                b = Read64(ref bytes, length - 8);
            }
            else
            {
                a = Read64(ref bytes, 0);
                b = Read64(ref bytes, length - 8);
            }
        }
        else if (length >= 4)
        {
            a = Read32(ref bytes, 0);
            b = Read32(ref bytes, length - 4);
        }
        else if (length > 0)
        {
            a = ((ulong)bytes << 16) | ((ulong)Unsafe.Add(ref bytes, length >> 1) << 8) | Unsafe.Add(ref bytes, length - 1);
            b = 0;
        }
        else
        {
            a = 0;
            b = 0;
        }

        return Finish(a, b, state, length);
    }

    /// <summary>The hash of a key that is ASCII; false when it is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryOfAscii(string key, out ulong hash)
    {
        ref var chars = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(key.AsSpan()));
        var length = key.Length;
        ulong a;
        ulong b;
        var state = s_seed;

        // In bounds as in OfUtf8: the same offsets, counted in characters.
        if (length >= 8)
        {
            if (length > 16)
            {
                var wide = Vector128<ushort>.Zero;
                for (var i = 0; i < length - 16; i += 16)
                {
                    var low = Vector128.LoadUnsafe(ref chars, (nuint)i);
                    var high = Vector128.LoadUnsafe(ref chars, (nuint)i + 8);
                    wide |= low | high;
                    var block = Narrow(low, high).AsUInt64();
                    state = Fold(block.ToScalar() ^ s_secret1, block.GetElement(1) ^ state);
                }

                var lastLow = Vector128.LoadUnsafe(ref chars, (nuint)length - 16);
                var lastHigh = Vector128.LoadUnsafe(ref chars, (nuint)length - 8);
                wide |= lastLow | lastHigh;
                var last = Narrow(lastLow, lastHigh).AsUInt64();
                if ((wide & Vector128.Create((ushort)0xFF80)) != Vector128<ushort>.Zero)
                {
                    hash = 0;
                    return false;
                }

                a = last.ToScalar();
                b = last.GetElement(1);
            }
            else
            {
                var low = Vector128.LoadUnsafe(ref chars, 0);
                var high = Vector128.LoadUnsafe(ref chars, (nuint)length - 8);
                if (((low | high) & Vector128.Create((ushort)0xFF80)) != Vector128<ushort>.Zero)
                {
                    hash = 0;
                    return false;
                }

                var block = Narrow(low, high).AsUInt64();
                a = block.ToScalar();
                b = block.GetElement(1);
            }
        }
        else if (length >= 4)
        {
            var low = Unsafe.ReadUnaligned<ulong>(ref Unsafe.As<ushort, byte>(ref chars));
            var high = Unsafe.ReadUnaligned<ulong>(ref Unsafe.As<ushort, byte>(ref Unsafe.Add(ref chars, length - 4)));
            if (((low | high) & 0xFF80_FF80_FF80_FF80) != 0)
            {
                hash = 0;
                return false;
            }

            a = NarrowFour(low);
            b = NarrowFour(high);
        }
        else if (length > 0)
        {
            ulong first = chars;
            ulong middle = Unsafe.Add(ref chars, length >> 1);
            ulong final = Unsafe.Add(ref chars, length - 1);
            if ((first | middle | final) >= 0x80)
            {
                hash = 0;
                return false;
            }

            a = (first << 16) | (middle << 8) | final;
            b = 0;
        }
        else
        {
            a = 0;
            b = 0;
        }

        hash = Finish(a, b, state, length);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Finish(ulong a, ulong b, ulong state, int length)
    {
        a ^= s_secret1;
        b ^= state;
        return Fold((a * b) ^ s_secret2 ^ (ulong)length, High(a, b) ^ s_secret1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong a, ulong b) => High(a, b) ^ (a * b);

    // The high half alone, and the low one by a multiplication of its own: asking for both at once takes one of them through
    // memory, and what follows has to wait for it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong High(ulong a, ulong b) =>
        Bmi2.X64.IsSupported ? Bmi2.X64.MultiplyNoFlags(a, b) : Math.BigMul(a, b, out _);

    /// <summary>Sixteen UTF-16 units of ASCII to bytes, in one instruction where there is one. Others become anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector128<byte> Narrow(Vector128<ushort> low, Vector128<ushort> high) =>
        Sse2.IsSupported ? Sse2.PackUnsignedSaturate(low.AsInt16(), high.AsInt16()) : Vector128.Narrow(low, high);

    // Four UTF-16 units below 0x80, one in each 16 bits, to four bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong NarrowFour(ulong units)
    {
        units = (units | (units >> 8)) & 0x0000_FFFF_0000_FFFF;
        return (units | (units >> 16)) & 0xFFFF_FFFF;
    }

    // Little-endian on every machine, so that the narrowed text and the bytes agree.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read64(ref byte bytes, int offset) =>
        Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref bytes, offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read32(ref byte bytes, int offset) =>
        Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref bytes, offset));

    private static ulong RandomSeed()
    {
        Span<byte> seed = stackalloc byte[8];
        RandomNumberGenerator.Fill(seed);
        return BinaryPrimitives.ReadUInt64LittleEndian(seed);
    }
}
