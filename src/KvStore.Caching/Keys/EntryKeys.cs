using System.Buffers;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;
using KvStore.Rules;

namespace KvStore.Keys;

/// <summary>Makes the keys of a namespace from the keys of a framework, which may be any text of any length.</summary>
/// <remarks>
/// <para>A key stays readable behind the prefix. A key that a namespace does not take (too long, not Unicode, or <c>.</c> without a prefix)
/// becomes <c>~sha256/</c> and the SHA-256 of its UTF-16 in hexadecimal digits. A key that begins with <c>~</c> gets another <c>~</c> in front. So
/// two different keys never meet, except where SHA-256 collides, and what begins with a single <c>~</c> belongs to the adapter.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class EntryKeys
{
    /// <summary>The longest key that is made, in bytes: the default limit of a namespace, so that keys do not depend on its limits.</summary>
    public const int KeyBytesMax = 512;

    /// <summary>The longest prefix, in bytes of UTF-8.</summary>
    public const int PrefixBytesMax = 256;

    /// <summary>What the keys that belong to the adapter itself begin with, behind the prefix.</summary>
    public const char Reserved = '~';

    private const string HashMark = "~sha256/";

    private readonly byte[] _prefix;
    private readonly bool _isAsciiPrefix;

    /// <param name="prefix">What all keys begin with; it has passed <see cref="Check"/>.</param>
    public EntryKeys(string prefix)
    {
        Check(prefix, nameof(prefix));
        Prefix = prefix;
        _prefix = Encoding.UTF8.GetBytes(prefix);
        _isAsciiPrefix = prefix.Length > 0 && Ascii.IsValid(prefix) && !prefix.EndsWith('.');
    }

    /// <summary>What all keys begin with.</summary>
    public string Prefix { get; }

    /// <summary>Checks a prefix.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="name">The option or parameter, for the message.</param>
    /// <exception cref="ArgumentException">The prefix is not Unicode, or too long.</exception>
    public static void Check(string prefix, string name)
    {
        ArgumentNullException.ThrowIfNull(prefix, name);
        Span<byte> utf8 = stackalloc byte[PrefixBytesMax];
        var status = Utf8.FromUtf16(prefix, utf8, out _, out _, replaceInvalidSequences: false);
        if (status != OperationStatus.Done)
        {
            throw new ArgumentException(
                Invariant($"The prefix {VisibleKey.Quote(prefix)} is {(status == OperationStatus.DestinationTooSmall ? "too long" : "not Unicode")}; it must be Unicode of at most {PrefixBytesMax} bytes in UTF-8."),
                name);
        }
    }

    /// <summary>The key of the namespace as text.</summary>
    /// <param name="key">The key of the framework.</param>
    public string Of(string key)
    {
        if (_isAsciiPrefix && Ascii.IsValid(key) && key.Length <= KeyBytesMax - _prefix.Length && !key.StartsWith(Reserved))
        {
            // The usual key. It is never empty or a dot, because the prefix ends otherwise.
            return string.Concat(Prefix, key);
        }

        Span<byte> utf8 = stackalloc byte[KeyBytesMax];
        return Encoding.UTF8.GetString(utf8[..Encode(key, utf8)]);
    }

    /// <summary>Writes the key of the namespace in UTF-8. Allocates nothing.</summary>
    /// <param name="key">The key of the framework.</param>
    /// <param name="destination">At least <see cref="KeyBytesMax"/> bytes.</param>
    /// <returns>The length.</returns>
    public int Encode(ReadOnlySpan<char> key, Span<byte> destination)
    {
        Debug.Assert(destination.Length >= KeyBytesMax);
        _prefix.CopyTo(destination);
        var length = _prefix.Length;
        if (key.StartsWith(Reserved))
        {
            destination[length++] = (byte)Reserved;
        }

        return Utf8.FromUtf16(key, destination[length..KeyBytesMax], out _, out var written, replaceInvalidSequences: false) == OperationStatus.Done
            && IsKey(destination[..(length + written)])
            ? length + written
            : EncodeHash(key, destination);
    }

    /// <summary>The key of the framework in a key of the namespace.</summary>
    /// <param name="storeKey">A key that begins with the prefix.</param>
    /// <param name="key">The key of the framework.</param>
    /// <returns>False when it is not in there: the key is a hash, or belongs to the adapter, or was not made here.</returns>
    public bool TryDecode(ReadOnlySpan<char> storeKey, out ReadOnlySpan<char> key)
    {
        key = storeKey[Prefix.Length..];
        if (!key.StartsWith(Reserved))
        {
            return true;
        }

        key = key[1..];
        return key.StartsWith(Reserved);
    }

    private int EncodeHash(ReadOnlySpan<char> key, Span<byte> destination)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(MemoryMarshal.AsBytes(key), hash);
        var length = _prefix.Length;
        length += Encoding.UTF8.GetBytes(HashMark, destination[length..]);
        var isWritten = Convert.TryToHexStringLower(hash, destination[length..], out var written);
        Debug.Assert(isWritten, "A prefix leaves room for a hash.");
        return length + written;
    }

    // Without a prefix, the empty key and these two are no keys.
    private static bool IsKey(ReadOnlySpan<byte> key) => key.Length > 0 && !key.SequenceEqual("."u8) && !key.SequenceEqual(".."u8);
}
