using System.Runtime.CompilerServices;

namespace KvStore.Engine;

/// <summary>
/// Ten bytes of a key as a number of 60 bits that is in the same order: six bits for each byte, the first the highest.
/// </summary>
/// <remarks>
/// A byte has 256 values, but those of one key are mostly letters and digits, so six bits tell nearly as much as eight. What
/// six bits don't tell apart has the same number, and so do a byte beyond the key's end and the lowest ones: two equal numbers
/// say nothing, and the keys are to be compared.
/// </remarks>
internal static class KeyWindow
{
    /// <summary>The bits of a byte.</summary>
    public const int BitsPerByte = 6;

    /// <summary>The bytes of a window.</summary>
    public const int Bytes = 10;

    /// <summary>The bits of a window.</summary>
    public const ulong Mask = (1UL << (Bytes * BitsPerByte)) - 1;

    // Where the codes begin: each goes as far as the next. Letters and digits have one each, capitals two together.
    private static ReadOnlySpan<byte> Starts =>
    [
        0x00, 0x20, (byte)'-', (byte)'.', (byte)'/',
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

    private static readonly byte[] s_codes = MakeCodes();

    /// <summary>The number of the bytes that begin at a place of a key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Of(ReadOnlySpan<byte> key, int start)
    {
        var codes = s_codes;
        var window = 0UL;
        var end = Math.Min(key.Length, start + Bytes);
        for (var i = start; i < end; i++)
        {
            window = (window << BitsPerByte) | codes[key[i]];
        }

        return window << ((start + Bytes - Math.Max(start, end)) * BitsPerByte);
    }

    private static byte[] MakeCodes()
    {
        var codes = new byte[256];
        for (var code = 0; code < Starts.Length; code++)
        {
            codes.AsSpan(Starts[code]).Fill((byte)code);
        }

        return codes;
    }
}
