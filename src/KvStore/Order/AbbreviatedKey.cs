using System.Numerics;
using System.Runtime.CompilerServices;

namespace KvStore.Order;

/// <summary>
/// The abbreviated key: about ten bytes of a key as a number of 60 bits. The numbers are in the order of the keys. A letter or a digit
/// takes six bits, a rarer byte more.
/// </summary>
/// <remarks>
/// Each byte has a code, no code begins with another, and the codes are in the order of the bytes: so any
/// number of leading bits of the codes is in the order of the keys. Beyond a key's end there are zeros, as in the code of the lowest byte:
/// equal numbers decide nothing, and the caller compares the keys.
/// </remarks>
internal static class AbbreviatedKey
{
    /// <summary>The bits of an abbreviated key.</summary>
    public const int Bits = 60;

    /// <summary>The most bytes of a key that an abbreviated key depends on.</summary>
    public const int BytesMax = Bits / ClassBits;

    private const int ClassBits = 6;
    private const int LengthShift = 16;

    // The first bytes of 64 classes, which six bits distinguish. A letter or a digit is a class of its own; in a class of several bytes,
    // more bits follow.
    private static ReadOnlySpan<byte> Starts =>
    [
        0x00, (byte)'-', (byte)'.', (byte)'/',
        (byte)'0', (byte)'1', (byte)'2', (byte)'3', (byte)'4', (byte)'5', (byte)'6', (byte)'7', (byte)'8', (byte)'9',
        (byte)':',
        (byte)'A', (byte)'C', (byte)'E', (byte)'G', (byte)'I', (byte)'K', (byte)'M', (byte)'O', (byte)'Q', (byte)'S', (byte)'U',
        (byte)'W', (byte)'Y',
        (byte)'[',
        (byte)'a', (byte)'b', (byte)'c', (byte)'d', (byte)'e', (byte)'f', (byte)'g', (byte)'h', (byte)'i', (byte)'j', (byte)'k',
        (byte)'l', (byte)'m', (byte)'n', (byte)'o', (byte)'p', (byte)'q', (byte)'r', (byte)'s', (byte)'t', (byte)'u', (byte)'v',
        (byte)'w', (byte)'x', (byte)'y', (byte)'z',
        (byte)'{', 0x80, 0xA0, 0xC0, 0xD0, 0xD1, 0xE0, 0xF0,
    ];

    // The code in the low 16 bits, its length above them.
    private static readonly uint[] s_codes = MakeCodes();

    /// <summary>The abbreviated key of the bytes from an offset on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ReadOnlySpan<byte> key, int start)
    {
        var codes = s_codes;
        var abbreviated = 0UL;
        var left = Bits;
        foreach (var value in key[start..])
        {
            var code = codes[value];
            left -= (int)(code >> LengthShift);
            if (left <= 0)
            {
                return abbreviated | ((code & ushort.MaxValue) >> -left);
            }

            abbreviated |= (ulong)(code & ushort.MaxValue) << left;
        }

        return abbreviated;
    }

    private static uint[] MakeCodes()
    {
        var codes = new uint[256];
        for (var i = 0; i < Starts.Length; i++)
        {
            var start = Starts[i];
            var end = i + 1 < Starts.Length ? Starts[i + 1] : codes.Length;
            var furtherBits = BitOperations.Log2((uint)(end - start) * 2 - 1);
            for (var value = (int)start; value < end; value++)
            {
                var code = (uint)((i << furtherBits) | (value - start));
                codes[value] = code | ((uint)(ClassBits + furtherBits) << LengthShift);
            }
        }

        return codes;
    }
}
