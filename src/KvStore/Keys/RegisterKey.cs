using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvStore.Keys;

/// <summary>
/// A key of 16 to 32 bytes in two registers, for the hot path of a read: narrowed once, then hashed and compared from the registers.
/// </summary>
internal readonly struct TwoBlockKey : IKey
{
    /// <summary>The length of the longest key.</summary>
    public const int BytesMax = 2 * KeyHash.BlockBytes;

    private const int BytesMin = KeyHash.BlockBytes;

    private readonly Vector128<byte> _first;
    private readonly Vector128<byte> _last;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private TwoBlockKey(Vector128<byte> first, Vector128<byte> last, int length)
    {
        _first = first;
        _last = last;
        Utf8Bytes = length;
        HashInRegister = KeyHash.InRegisterOfBlocks(first, last, length);
    }

    public ulong Hash => HashInRegister.ToScalar();

    public Vector128<ulong> HashInRegister { get; }

    public int Utf8Bytes { get; }

    /// <summary>Whether keys of this length are of this form.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Fits(int length) => (uint)(length - BytesMin) <= BytesMax - BytesMin;

    /// <summary>A key of a length that fits; false when it is not ASCII.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(string key, out TwoBlockKey read)
    {
        Debug.Assert(Fits(key.Length), "Two blocks lie in the key.");
        ref var chars = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(key.AsSpan()));
        if (!AsciiBlocks.TryLoad(ref chars, key.Length, out var first, out var last))
        {
            read = default;
            return false;
        }

        read = new TwoBlockKey(first, last, key.Length);
        return true;
    }

    /// <summary>A key in UTF-8 of a length that fits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TwoBlockKey Read(ReadOnlySpan<byte> key)
    {
        Debug.Assert(Fits(key.Length), "Two blocks lie in the key.");
        ref var bytes = ref MemoryMarshal.GetReference(key);
        return new TwoBlockKey(
            Vector128.LoadUnsafe(ref bytes), Vector128.LoadUnsafe(ref bytes, (nuint)(uint)key.Length - BytesMin), key.Length);
    }

    // In bounds. Requires: storedKey has as many bytes as this key, which are at least a block.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool DiffersFrom(ref readonly byte storedKey)
    {
        ref var bytes = ref Unsafe.AsRef(in storedKey);
        var difference = (_first ^ Vector128.LoadUnsafe(ref bytes))
            | (_last ^ Vector128.LoadUnsafe(ref bytes, (nuint)(uint)Utf8Bytes - BytesMin));
        if (difference == Vector128<byte>.Zero)
        {
            return false;
        }

        return true;
    }

    public void CopyTo(scoped Span<byte> destination)
    {
        _first.CopyTo(destination);
        _last.CopyTo(destination[(Utf8Bytes - BytesMin)..]);
    }
}

/// <summary>A key of 8 to 15 bytes in one register: its first and its last eight, which may overlap.</summary>
internal readonly struct HalvesKey : IKey
{
    private const int HalfBytes = 8;

    private readonly Vector128<byte> _halves;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private HalvesKey(Vector128<byte> halves, int length)
    {
        _halves = halves;
        Utf8Bytes = length;
        HashInRegister = KeyHash.InRegisterOfBlocks(halves, Vector128<byte>.Zero, length);
    }

    public ulong Hash => HashInRegister.ToScalar();

    public Vector128<ulong> HashInRegister { get; }

    public int Utf8Bytes { get; }

    /// <summary>Whether keys of this length are of this form.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Fits(int length) => (uint)(length - HalfBytes) < KeyHash.BlockBytes - HalfBytes;

    /// <summary>A key of a length that fits; false when it is not ASCII.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryRead(string key, out HalvesKey read)
    {
        Debug.Assert(Fits(key.Length), "Two halves lie in the key.");
        ref var chars = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(key.AsSpan()));
        if (!AsciiBlocks.TryLoadHalves(ref chars, key.Length, out var halves))
        {
            read = default;
            return false;
        }

        read = new HalvesKey(halves, key.Length);
        return true;
    }

    // In bounds. Requires: storedKey has as many bytes as this key, which are at least a half.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool DiffersFrom(ref readonly byte storedKey)
    {
        ref var bytes = ref Unsafe.AsRef(in storedKey);
        var halves = _halves.AsUInt64();
        return ((halves.GetElement(0) ^ Unsafe.ReadUnaligned<ulong>(ref bytes))
            | (halves.GetElement(1) ^ Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref bytes, (nuint)(uint)Utf8Bytes - HalfBytes)))) != 0;
    }

    public void CopyTo(scoped Span<byte> destination)
    {
        MemoryMarshal.Write(destination, _halves.AsUInt64().GetElement(0));
        MemoryMarshal.Write(destination[(Utf8Bytes - HalfBytes)..], _halves.AsUInt64().GetElement(1));
    }
}
