using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using KvStore.Rules;

namespace KvStore.Keys;

/// <summary>
/// A valid key with its hash: 1 to <see cref="KvLimits.KeyBytesMax"/> bytes of UTF-8, and neither <c>.</c> nor <c>..</c>.
/// <see cref="KeyRules"/> has checked it, so nobody checks it again.
/// </summary>
/// <remarks>
/// There are several forms, so that the common one costs no copy: ASCII text is compared and stored from the string itself. Code with a
/// type parameter of this constraint is compiled once for each form.
/// </remarks>
internal interface IKey
{
    /// <summary>The hash of the UTF-8 bytes.</summary>
    ulong Hash { get; }

    /// <summary>The hash as the lowest element of a vector, for comparing parts of it with many others at once.</summary>
    Vector128<ulong> HashInRegister { get; }

    /// <summary>The length in bytes of UTF-8.</summary>
    int Utf8Bytes { get; }

    /// <summary>Whether the stored key, of exactly <see cref="Utf8Bytes"/> bytes, is another key.</summary>
    bool DiffersFrom(ref readonly byte storedKey);

    /// <summary>Writes the UTF-8 bytes.</summary>
    void CopyTo(scoped Span<byte> destination);
}

/// <summary>A key that is ASCII, in the string that the caller gave.</summary>
internal readonly struct AsciiKey(string text, ulong hash) : IKey
{
    private readonly string _text = text;

    public ulong Hash { get; } = hash;

    public Vector128<ulong> HashInRegister => Vector128.CreateScalarUnsafe(Hash);

    public int Utf8Bytes => _text.Length;

    // Requires: storedKey has as many bytes as this key. Every read of either side ends at that length or before, by the comparison that
    // guards it.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool DiffersFrom(ref readonly byte storedKey)
    {
        ref var chars = ref Unsafe.As<char, ushort>(ref MemoryMarshal.GetReference(_text.AsSpan()));
        ref var bytes = ref Unsafe.AsRef(in storedKey);
        var length = _text.Length;
        if (length >= 16)
        {
            var last = (nuint)length - 16;
            var difference = Narrow16(ref chars, last) ^ Vector128.LoadUnsafe(ref bytes, last);
            for (nuint i = 0; i < last; i += 16)
            {
                Debug.Assert(i + 16 <= (nuint)length, "The block lies in the key.");
                difference |= Narrow16(ref chars, i) ^ Vector128.LoadUnsafe(ref bytes, i);
            }

            return difference != Vector128<byte>.Zero;
        }

        if (length >= 8)
        {
            var last = length - 8;
            var narrow = Vector128.Narrow(Vector128.LoadUnsafe(ref chars), Vector128.LoadUnsafe(ref chars, (nuint)last)).AsUInt64();
            return narrow.ToScalar() != Unsafe.ReadUnaligned<ulong>(ref bytes)
                || narrow.GetElement(1) != Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref bytes, last));
        }

        for (var i = 0; i < length; i++)
        {
            if (Unsafe.Add(ref chars, i) != Unsafe.Add(ref bytes, i))
            {
                return true;
            }
        }

        return false;
    }

    public void CopyTo(scoped Span<byte> destination) => Encoding.ASCII.GetBytes(_text, destination);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Narrow16(ref ushort chars, nuint offset) =>
        AsciiBlocks.Narrow(Vector128.LoadUnsafe(ref chars, offset), Vector128.LoadUnsafe(ref chars, offset + 8));
}

/// <summary>A key in UTF-8.</summary>
internal readonly ref struct Utf8Key(ReadOnlySpan<byte> bytes, ulong hash) : IKey
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public Utf8Key(ReadOnlySpan<byte> bytes)
        : this(bytes, KeyHash.OfUtf8(bytes))
    {
    }

    public ulong Hash { get; } = hash;

    public Vector128<ulong> HashInRegister => Vector128.CreateScalarUnsafe(Hash);

    public int Utf8Bytes => _bytes.Length;

    public ReadOnlySpan<byte> Bytes => _bytes;

    public bool DiffersFrom(ref readonly byte storedKey) =>
        !_bytes.SequenceEqual(MemoryMarshal.CreateReadOnlySpan(in storedKey, _bytes.Length));

    public void CopyTo(scoped Span<byte> destination) => _bytes.CopyTo(destination);
}
