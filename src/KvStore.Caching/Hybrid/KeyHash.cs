using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Hybrid;

/// <summary>Hashes and compares the keys of callers: the larger part of what a hit costs.</summary>
/// <remarks>
/// <para>Folded products of the text and secrets, as in wyhash (Wang Yi, 2019). The secrets are those of the process, because keys may come from
/// clients. A <see cref="Dictionary{TKey, TValue}"/> hashes with secrets too; a lookup in one takes longer than a whole hit (docs/PERFORMANCE.md).</para>
/// <para>Both methods for common lengths read the first and the last 8, 16 or 32 bytes of a text, which may overlap. A text of
/// <see cref="CommonMin"/> characters has 8 bytes, and each branch is taken for a text that has at least as many bytes as it reads from either end: that is
/// why no read is out of bounds.</para>
/// </remarks>
internal static class KeyHash
{
    private const int BlockBytes = 2 * sizeof(ulong);
    private const ulong Step = 0x9E3779B97F4A7C15;
    private const ulong OtherStep = 0xD1B54A32D192ED03;

    private static readonly ulong s_secret0 = Secret();
    private static readonly ulong s_secret1 = Secret();
    private static readonly ulong s_secret2 = Secret();
    private static readonly ulong s_secret3 = Secret();
    private static readonly ulong s_secret4 = Secret();
    private static readonly ulong s_secret5 = Secret();
    private static readonly ulong s_secret6 = Secret();
    private static readonly ulong s_secret7 = Secret();

    /// <summary>The least number of characters of <see cref="OfCommon"/> and <see cref="AreCommonEqual"/>.</summary>
    public const int CommonMin = 4;

    /// <summary>The greatest number of characters of <see cref="OfCommon"/> and <see cref="AreCommonEqual"/>.</summary>
    public const int CommonMax = 32;

    /// <summary>The hash of a key of any length.</summary>
    public static uint Of(ReadOnlySpan<char> key)
    {
        ref var start = ref Unsafe.As<char, byte>(ref MemoryMarshal.GetReference(key));
        return key.Length switch
        {
            < CommonMin => OfTiny(key),
            <= CommonMax => OfCommon(ref start, key.Length),
            _ => OfLong(ref start, key.Length * sizeof(char)),
        };
    }

    /// <summary>The hash of a key of <see cref="CommonMin"/> to <see cref="CommonMax"/> characters.</summary>
    /// <param name="start">Its first byte.</param>
    /// <param name="length">How many characters it has.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint OfCommon(ref byte start, int length)
    {
        Debug.Assert(length is >= CommonMin and <= CommonMax);
        var bytes = (nint)(uint)length * sizeof(char);
        ulong hash;
        if (bytes >= 2 * BlockBytes)
        {
            hash = Product(Read(ref start, 0) ^ s_secret0, Read(ref start, 8) ^ s_secret1)
                + Product(Read(ref start, 16) ^ s_secret2, Read(ref start, 24) ^ s_secret3)
                + Product(Read(ref start, bytes - 32) ^ s_secret4, Read(ref start, bytes - 24) ^ s_secret5)
                + Product(Read(ref start, bytes - 16) ^ s_secret6, Read(ref start, bytes - 8) ^ s_secret7);
        }
        else if (bytes >= BlockBytes)
        {
            hash = Product(Read(ref start, 0) ^ s_secret0, Read(ref start, 8) ^ s_secret1)
                + Product(Read(ref start, bytes - 16) ^ s_secret6, Read(ref start, bytes - 8) ^ s_secret7);
        }
        else
        {
            hash = Product(Read(ref start, 0) ^ s_secret0, Read(ref start, bytes - 8) ^ s_secret1);
        }

        return (uint)(((hash + (ulong)bytes) * Step) >> 32);
    }

    /// <summary>Whether a key of <see cref="CommonMin"/> to <see cref="CommonMax"/> characters is another text of the same length.</summary>
    /// <param name="start">The first byte of the key.</param>
    /// <param name="other">The other text.</param>
    /// <param name="length">How many characters both have.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AreCommonEqual(ref byte start, string other, int length)
    {
        Debug.Assert(length is >= CommonMin and <= CommonMax && other.Length == length);
        ref var otherStart = ref Unsafe.As<char, byte>(ref Unsafe.AsRef(in other.GetPinnableReference()));
        var bytes = (nint)(uint)length * sizeof(char);
        if (bytes >= 2 * BlockBytes)
        {
            return ((Vector256.LoadUnsafe(ref start) ^ Vector256.LoadUnsafe(ref otherStart))
                | (Vector256.LoadUnsafe(ref Unsafe.Add(ref start, bytes - 32)) ^ Vector256.LoadUnsafe(ref Unsafe.Add(ref otherStart, bytes - 32)))) == Vector256<byte>.Zero;
        }

        if (bytes >= BlockBytes)
        {
            return ((Vector128.LoadUnsafe(ref start) ^ Vector128.LoadUnsafe(ref otherStart))
                | (Vector128.LoadUnsafe(ref Unsafe.Add(ref start, bytes - 16)) ^ Vector128.LoadUnsafe(ref Unsafe.Add(ref otherStart, bytes - 16)))) == Vector128<byte>.Zero;
        }

        return ((Read(ref start, 0) ^ Read(ref otherStart, 0)) | (Read(ref start, bytes - 8) ^ Read(ref otherStart, bytes - 8))) == 0;
    }

    private static uint OfTiny(ReadOnlySpan<char> key)
    {
        ulong all = 0;
        foreach (var c in key)
        {
            all = (all << 16) | c;
        }

        return (uint)(((Product(all ^ s_secret0, s_secret1) + (ulong)key.Length) * Step) >> 32);
    }

    // More than 16 bytes. The loop reads blocks that end before the last 16 bytes do, and those are read after it.
    private static uint OfLong(ref byte start, nint bytes)
    {
        Debug.Assert(bytes > BlockBytes);
        var hash = (ulong)bytes;
        var (secret, other) = (s_secret0, s_secret1);
        for (nint at = 0; at < bytes - BlockBytes; at += BlockBytes)
        {
            hash += Product(Read(ref start, at) ^ secret, Read(ref start, at + sizeof(ulong)) ^ other);
            secret += Step;
            other += OtherStep;
        }

        hash += Product(Read(ref start, bytes - BlockBytes) ^ s_secret6, Read(ref start, bytes - sizeof(ulong)) ^ s_secret7);
        return (uint)((hash * Step) >> 32);
    }

    // In bounds: see the remarks of the class.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Read(ref byte start, nint at) => Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, at));

    // Both halves of a product, in registers: Math.BigMul returns the low half through memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Product(ulong x, ulong y)
    {
        if (Bmi2.X64.IsSupported)
        {
            return Bmi2.X64.MultiplyNoFlags(x, y) ^ (x * y);
        }

        var high = Math.BigMul(x, y, out var low);
        return high ^ low;
    }

    private static ulong Secret() => (ulong)Random.Shared.NextInt64() | 1;
}
