using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;

namespace KvStore.Records;

/// <summary>Makes strings of UTF-8, with U+FFFD in place of bytes that are not.</summary>
internal static class Utf8Text
{
    // Text that is not ASCII is widened in vain, into a string that is then dropped. This bounds the waste.
    private const int WidenedBytesMax = 4096;

    /// <summary>
    /// The text as a new string. Most text is ASCII, and is widened in one pass. A decoder takes two passes: it counts the characters,
    /// and then writes them.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static string Decode(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length is >= 16 and <= WidenedBytesMax)
        {
            var text = new string('\0', utf8.Length);
            if (TryWiden(utf8, text))
            {
                return text;
            }
        }

        return DecodeElse(utf8);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string DecodeElse(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);

    // Writes to a string that nobody else has seen, as string.Create does, without the call of a delegate.
    // In bounds: there are as many characters as bytes, and at least 16. Each block lies below that number. The last block ends exactly
    // there, and overlaps the block before it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryWiden(ReadOnlySpan<byte> ascii, string text)
    {
        Debug.Assert(ascii.Length >= Vector128<byte>.Count && text.Length == ascii.Length, "A block lies in the bytes and in the text.");
        ref var source = ref MemoryMarshal.GetReference(ascii);
        ref var target = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(text.AsSpan()));
        var length = (nuint)(uint)ascii.Length;
        if (length <= (nuint)Vector256<byte>.Count)
        {
            var first = Vector128.LoadUnsafe(ref source);
            var last = Vector128.LoadUnsafe(ref source, length - (nuint)Vector128<byte>.Count);
            Widen(first, ref target, 0);
            Widen(last, ref target, length - (nuint)Vector128<byte>.Count);
            return (first | last).ExtractMostSignificantBits() == 0;
        }

        var end = length - (nuint)Vector256<byte>.Count;
        var all = Vector256.LoadUnsafe(ref source, end);
        Widen(all, ref target, end);
        for (nuint offset = 0; offset < end; offset += (nuint)Vector256<byte>.Count)
        {
            var block = Vector256.LoadUnsafe(ref source, offset);
            Widen(block, ref target, offset);
            all |= block;
        }

        return all.ExtractMostSignificantBits() == 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widen(Vector128<byte> block, ref ushort target, nuint offset)
    {
        Vector128.WidenLower(block).StoreUnsafe(ref target, offset);
        Vector128.WidenUpper(block).StoreUnsafe(ref target, offset + (nuint)Vector128<ushort>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widen(Vector256<byte> block, ref ushort target, nuint offset)
    {
        Vector256.WidenLower(block).StoreUnsafe(ref target, offset);
        Vector256.WidenUpper(block).StoreUnsafe(ref target, offset + (nuint)Vector256<ushort>.Count);
    }
}
