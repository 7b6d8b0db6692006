using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using AesArm = System.Runtime.Intrinsics.Arm.Aes;
using AesX86 = System.Runtime.Intrinsics.X86.Aes;

namespace KvStore.Keys;

/// <summary>
/// One step of <see cref="KeyHash"/>: a round of AES, for which processors have an instruction; on one that has none, a
/// multiplication of the halves.
/// </summary>
/// <remarks>A hash never leaves its process, so it may be another on another machine.</remarks>
internal static class HashRound
{
    /// <summary>Mixes the bytes of a state, and then a secret into it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Of(Vector128<byte> state, Vector128<byte> secret)
    {
        if (AesX86.IsSupported)
        {
            return AesX86.Encrypt(state, secret);
        }

        // One round, in the parts in which that instruction set has it.
        return AesArm.IsSupported ? AesArm.MixColumns(AesArm.Encrypt(state, Vector128<byte>.Zero)) ^ secret : ByMultiplication(state, secret);
    }

    /// <summary>What is done where there is no such instruction.</summary>
    public static Vector128<byte> ByMultiplication(Vector128<byte> state, Vector128<byte> secret)
    {
        // The secret first, lest a half of zeros would take the other with it.
        var mixed = (state ^ secret).AsUInt64();
        var high = Math.BigMul(mixed.GetElement(0), mixed.GetElement(1) | 1, out var low);
        return Vector128.Create(high ^ low ^ mixed.GetElement(1), ulong.RotateLeft(low, 32) + high + mixed.GetElement(0)).AsByte() ^ secret;
    }

    /// <summary>A secret that nobody can guess.</summary>
    public static Vector128<byte> NewSecret()
    {
        Span<byte> bytes = stackalloc byte[Vector128<byte>.Count];
        RandomNumberGenerator.Fill(bytes);
        return Vector128.Create<byte>(bytes);
    }
}
