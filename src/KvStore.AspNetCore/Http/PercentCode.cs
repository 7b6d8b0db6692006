using System.Text.Unicode;

namespace KvStore.Http;

/// <summary>Percent-decodes keys, once. A plus stays a plus, and a dot stays a dot.</summary>
internal static class PercentCode
{
    /// <summary>The length of a buffer on the stack that fits most keys.</summary>
    public const int StackBytes = 1024;

    /// <summary>Decodes text to UTF-8.</summary>
    /// <param name="text">The text in the request.</param>
    /// <param name="buffer">At least as long as the text.</param>
    /// <param name="hasMarkedNul">Whether the connection has replaced <c>%00</c> by <c>%FF</c> (<see cref="Transport.NulMarks"/>).</param>
    /// <param name="written">The number of bytes written.</param>
    /// <returns>False when an escape is malformed, or the bytes are not UTF-8.</returns>
    public static bool TryDecode(ReadOnlySpan<char> text, Span<byte> buffer, bool hasMarkedNul, out int written)
    {
        written = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '%')
            {
                if (i + 2 >= text.Length || !char.IsAsciiHexDigit(text[i + 1]) || !char.IsAsciiHexDigit(text[i + 2]))
                {
                    return false;
                }

                var value = (byte)((Digit(text[i + 1]) << 4) | Digit(text[i + 2]));
                buffer[written++] = hasMarkedNul && value == 0xFF ? (byte)0 : value;
                i += 2;
            }
            else if (c < 0x80)
            {
                buffer[written++] = (byte)c;
            }
            else
            {
                // Not ASCII: the server has read each byte of the request line as one character.
                return false;
            }
        }

        return Utf8.IsValid(buffer[..written]);
    }

    private static int Digit(char c) => c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
