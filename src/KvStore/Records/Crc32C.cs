using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvStore.Records;

/// <summary>CRC32C (Castagnoli, RFC 3720): initial value and final exclusive-or of all ones, as processors compute it.</summary>
internal static class Crc32C
{
    /// <summary>The checksum of some bytes.</summary>
    public static uint Compute(ReadOnlySpan<byte> bytes) => Append(0, bytes);

    /// <summary>The checksum of bytes that continue others.</summary>
    /// <param name="checksum">The checksum of the bytes before; 0 for none.</param>
    /// <param name="bytes">The bytes.</param>
    public static uint Append(uint checksum, ReadOnlySpan<byte> bytes)
    {
        var crc = ~checksum;
        ref var at = ref MemoryMarshal.GetReference(bytes);
        var left = bytes.Length;

        // In bounds: each read takes eight bytes, and at least eight are left.
        for (; left >= sizeof(ulong); left -= sizeof(ulong))
        {
            var word = Unsafe.ReadUnaligned<ulong>(ref at);
            crc = BitOperations.Crc32C(crc, BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word));
            at = ref Unsafe.Add(ref at, sizeof(ulong));
        }

        for (; left > 0; left--)
        {
            crc = BitOperations.Crc32C(crc, at);
            at = ref Unsafe.Add(ref at, 1);
        }

        Debug.Assert(Unsafe.ByteOffset(in MemoryMarshal.GetReference(bytes), in at) == bytes.Length, "The reads end where the bytes end.");
        return ~crc;
    }
}
