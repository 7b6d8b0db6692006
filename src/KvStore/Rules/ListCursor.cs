using System.Buffers.Text;
using System.Numerics;

namespace KvStore.Rules;

/// <summary>
/// The cursor of a page: a checksum and the last key, in base64url. It means "after this key", so it works after the key is deleted,
/// and in any namespace and with any prefix.
/// </summary>
internal static class ListCursor
{
    private const int CheckBytes = 4;

    /// <summary>The cursor that continues after a key.</summary>
    public static string After(ReadOnlySpan<byte> key)
    {
        var bytes = new byte[CheckBytes + key.Length];
        key.CopyTo(bytes.AsSpan(CheckBytes));
        BitConverter.TryWriteBytes(bytes, Check(key));
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>The key after which a page begins; empty when there is no cursor.</summary>
    /// <exception cref="KvException">The text is not a cursor (400).</exception>
    public static byte[] Parse(string? cursor, int keyBytesMax)
    {
        if (string.IsNullOrEmpty(cursor))
        {
            return [];
        }

        // A cursor is never longer than the longest key makes it; a longer text is not even decoded.
        var longest = Base64Url.GetEncodedLength(CheckBytes + keyBytesMax);
        if (cursor.Length <= longest && Base64Url.IsValid(cursor))
        {
            var bytes = Base64Url.DecodeFromChars(cursor);
            if (bytes.Length > CheckBytes && BitConverter.ToUInt32(bytes) == Check(bytes.AsSpan(CheckBytes)))
            {
                return bytes[CheckBytes..];
            }
        }

        throw new KvException(400, "LIST", "Invalid cursor. Please specify the cursor of the page before, as it was returned.") { ParamName = "cursor" };
    }

    private static uint Check(ReadOnlySpan<byte> key)
    {
        var check = 0xC0FFEEu;
        foreach (var b in key)
        {
            check = BitOperations.Crc32C(check, b);
        }

        return check;
    }
}
