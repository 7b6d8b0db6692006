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
/// <remarks>A hash never leaves its process, so two machines may compute different hashes of a key.</remarks>
internal static class HashRound
{
    /// <summary>Mixes the bytes of a state with each other, and then with a secret.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Of(Vector128<byte> state, Vector128<byte> secret)
    {
        if (AesX86.IsSupported)
        {
            return AesX86.Encrypt(state, secret);
        }

        // On Arm a round is two instructions. The first gets a key of zeros, and the secret is added last, as the x86 instruction does.
        return AesArm.IsSupported ? AesArm.MixColumns(AesArm.Encrypt(state, Vector128<byte>.Zero)) ^ secret : ByMultiplication(state, secret);
    }

    /// <summary>The round for a processor without the instruction.</summary>
    public static Vector128<byte> ByMultiplication(Vector128<byte> state, Vector128<byte> secret)
    {
        // The secret comes first, because a half of zeros would make the product zero.
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
