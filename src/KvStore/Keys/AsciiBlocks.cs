using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Keys;

/// <summary>Brings text into registers as the bytes of its UTF-8, where it is ASCII.</summary>
/// <remarks>
/// Never through memory: a load that needs what two stores have just written waits for both. Requires: the text has at least the
/// length of the blocks. In bounds: every load ends at the length or before.
/// </remarks>
internal static class AsciiBlocks
{
    /// <summary>The first and the last 16 of at least 16 characters. False when one of them is not ASCII.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryLoad(ref readonly ushort chars, int length, out Vector128<byte> first, out Vector128<byte> last)
    {
        Debug.Assert(length >= 16, "A block of 16 lies in the text.");
        ref var start = ref Unsafe.AsRef(in chars);
        var firstLow = Vector128.LoadUnsafe(ref start);
        var firstHigh = Vector128.LoadUnsafe(ref start, 8);
        var lastLow = Vector128.LoadUnsafe(ref start, (nuint)(uint)length - 16);
        var lastHigh = Vector128.LoadUnsafe(ref start, (nuint)(uint)length - 8);
        first = Narrow(firstLow, firstHigh);
        last = Narrow(lastLow, lastHigh);
        return IsAscii(firstLow | firstHigh | lastLow | lastHigh);
    }

    /// <summary>The first and the last 8 of at least 8 characters, side by side. False when one of them is not ASCII.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryLoadHalves(ref readonly ushort chars, int length, out Vector128<byte> halves)
    {
        Debug.Assert(length >= 8, "A half of 8 lies in the text.");
        ref var start = ref Unsafe.AsRef(in chars);
        var low = Vector128.LoadUnsafe(ref start);
        var high = Vector128.LoadUnsafe(ref start, (nuint)(uint)length - 8);
        halves = Narrow(low, high);
        return IsAscii(low | high);
    }

    /// <summary>Sixteen UTF-16 units of ASCII to bytes, in one instruction where there is one. Others become anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Narrow(Vector128<ushort> low, Vector128<ushort> high) =>
        Sse2.IsSupported ? Sse2.PackUnsignedSaturate(low.AsInt16(), high.AsInt16()) : Vector128.Narrow(low, high);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsAscii(Vector128<ushort> units) => (units & Vector128.Create((ushort)0xFF80)) == Vector128<ushort>.Zero;
}
