using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;
using KvStore.Keys;

namespace KvStore.Rules;

/// <summary>
/// The rules for keys, and the binding's messages for keys that break them. Source: Workers KV, "Write key-value pairs", and the
/// messages of the runtime.
/// </summary>
internal static class KeyRules
{
    /// <summary>
    /// The fast check: true with the hash when the key is ASCII and within the rules. When it is false, <see cref="Encode"/> decides.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryAscii(string key, int keyBytesMax, out ulong hash)
    {
        // One comparison checks "1 to the limit". The keys of dots are short and rare. Encode throws for a null key.
        if (key is not null && (uint)(key.Length - 1) < (uint)keyBytesMax && !(key.Length <= 2 && IsDots(key)))
        {
            return KeyHash.TryOfAscii(key, out hash);
        }

        hash = 0;
        return false;
    }

    /// <summary>The most bytes that <see cref="Encode"/> may write for a key that is within the limit.</summary>
    public static int BufferBytes(string key, int keyBytesMax) => Math.Min(key.Length * 3, keyBytesMax);

    /// <summary>Checks a key and writes it as UTF-8.</summary>
    /// <param name="key">The key.</param>
    /// <param name="keyBytesMax">The longest that is allowed.</param>
    /// <param name="operation">The operation, for the message.</param>
    /// <param name="buffer">At least <see cref="BufferBytes"/> long.</param>
    /// <returns>The number of bytes written.</returns>
    public static int Encode(string key, int keyBytesMax, string operation, Span<byte> buffer)
    {
        CheckShape(key, keyBytesMax, operation);
        if (Utf8.FromUtf16(key, buffer, out _, out var written, replaceInvalidSequences: false) != System.Buffers.OperationStatus.Done)
        {
            throw new KvException(400, operation, BindingMessages.KeyIsNotDecodable) { ParamName = "key" };
        }

        return written;
    }

    /// <summary>Checks a key without writing it as UTF-8.</summary>
    public static void Check(string key, int keyBytesMax, string operation)
    {
        CheckShape(key, keyBytesMax, operation);
        if (!IsUnicode(key))
        {
            throw new KvException(400, operation, BindingMessages.KeyIsNotDecodable) { ParamName = nameof(key) };
        }
    }

    /// <summary>Checks everything but surrogates, which the binding checks later.</summary>
    public static void CheckShape(string key, int keyBytesMax, string operation)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key.Length == 0)
        {
            throw new KvArgumentException("Key name cannot be empty.", nameof(key));
        }

        if (IsDots(key))
        {
            throw new KvArgumentException($"\"{key}\" is not allowed as a key name.", nameof(key));
        }

        CheckLength(key, keyBytesMax, operation, nameof(key));
    }

    /// <summary>Checks a key among many, for which the messages differ.</summary>
    public static void CheckInBulk(string key, int keyBytesMax)
    {
        ArgumentNullException.ThrowIfNull(key, "keys");
        if (key.Length == 0)
        {
            throw new KvException(400, "GET_BULK", "Key names must not be empty") { ParamName = "keys" };
        }

        if (IsDots(key))
        {
            throw new KvException(400, "GET_BULK", $"Illegal key name \"{key}\". Please use a different name.") { ParamName = "keys" };
        }

        CheckLength(key, keyBytesMax, "GET_BULK", "keys");
    }

    /// <summary>Whether every surrogate has its other half.</summary>
    public static bool IsUnicode(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF') || IsPaired(text);

    /// <summary>Checks a key in UTF-8 that comes from a caller of the synchronous read.</summary>
    public static void CheckUtf8(ReadOnlySpan<byte> key, int keyBytesMax, string operation)
    {
        if (key.IsEmpty)
        {
            throw new KvArgumentException("Key name cannot be empty.", nameof(key));
        }

        if (key.SequenceEqual("."u8) || key.SequenceEqual(".."u8))
        {
            throw new KvArgumentException($"\"{Encoding.UTF8.GetString(key)}\" is not allowed as a key name.", nameof(key));
        }

        if (key.Length > keyBytesMax)
        {
            throw TooLong(key.Length, keyBytesMax, operation, nameof(key));
        }
    }

    /// <summary>Checks the length of a key or prefix; an unpaired surrogate counts three bytes.</summary>
    public static void CheckLength(string text, int keyBytesMax, string operation, string paramName)
    {
        // No UTF-16 unit takes more than three bytes, so that most text need not be counted.
        if (text.Length * 3L > keyBytesMax && Encoding.UTF8.GetByteCount(text) is var bytes && bytes > keyBytesMax)
        {
            throw TooLong(bytes, keyBytesMax, operation, paramName);
        }
    }

    /// <summary>Checks a prefix of a call that refuses one that no key can have, and writes it as UTF-8.</summary>
    /// <exception cref="KvException">It is too long (414) or not Unicode (400).</exception>
    public static byte[] EncodePrefix(string prefix, int keyBytesMax, string operation)
    {
        CheckPrefix(prefix, keyBytesMax, operation);
        return Encoding.UTF8.GetBytes(prefix);
    }

    /// <summary>Checks a prefix of a call that refuses one that no key can have. The binding's list does not refuse half a surrogate pair.</summary>
    /// <exception cref="KvException">It is too long (414) or not Unicode (400).</exception>
    public static void CheckPrefix(string prefix, int keyBytesMax, string operation)
    {
        // No UTF-16 unit takes more than three bytes, so that most text need not be counted.
        if (prefix.Length * 3L > keyBytesMax && Encoding.UTF8.GetByteCount(prefix) is var bytes && bytes > keyBytesMax)
        {
            throw new KvException(
                414,
                operation,
                Invariant($"The prefix {VisibleKey.Quote(prefix)} has {bytes} bytes of UTF-8, and a key at most {keyBytesMax}, so no key begins with it."))
            {
                ParamName = nameof(prefix),
            };
        }

        if (!IsUnicode(prefix))
        {
            throw new KvException(400, operation, $"The prefix {VisibleKey.Quote(prefix)} is not Unicode: it has an unpaired surrogate, which no key has.")
            {
                ParamName = nameof(prefix),
            };
        }
    }

    private static bool IsPaired(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
            {
                continue;
            }

            if (!(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1])))
            {
                return false;
            }

            i++;
        }

        return true;
    }

    private static bool IsDots(string key) => key is "." or "..";

    private static KvException TooLong(int bytes, int keyBytesMax, string operation, string paramName) =>
        new(414, operation, Invariant($"UTF-8 encoded length of {bytes} exceeds key length limit of {keyBytesMax}.")) { ParamName = paramName };
}
