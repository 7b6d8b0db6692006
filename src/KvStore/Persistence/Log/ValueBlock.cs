using System.Buffers.Binary;
using KvStore.Records;

namespace KvStore.Persistence.Log;

/// <summary>A block of a value file: a checksum, then bytes of the value.</summary>
internal static class ValueBlock
{
    /// <summary>The checksum of a block: of its place in this file, and of its bytes.</summary>
    public static uint Checksum(uint seed, long blockIndex, ReadOnlySpan<byte> data)
    {
        Span<byte> place = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(place, blockIndex);
        return Crc32C.Append(Crc32C.Append(seed, place), data);
    }
}
