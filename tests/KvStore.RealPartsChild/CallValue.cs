using System.Globalization;
using System.Text;

namespace KvStore.RealPartsChild;

/// <summary>The value that a call puts: its number and its length first, then bytes that follow from the number.</summary>
internal static class CallValue
{
    /// <summary>The shortest value.</summary>
    public const int LengthMin = 48;

    public static byte[] Of(long id, int length)
    {
        var bytes = new byte[length];
        var head = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id} {length} "));
        head.CopyTo(bytes, 0);
        var state = unchecked((uint)id * 2_654_435_761u) | 1;
        for (var i = head.Length; i < length; i++)
        {
            state = unchecked((state * 1_664_525u) + 1_013_904_223u);
            bytes[i] = (byte)(' ' + (state >> 25) % 95);
        }

        return bytes;
    }

    /// <summary>Which call put a value; null when it is not whole, or not the value of any call.</summary>
    public static long? IdOf(ReadOnlySpan<byte> value)
    {
        var end = value.IndexOf((byte)' ');
        if (end <= 0
            || !long.TryParse(value[..end], CultureInfo.InvariantCulture, out var id)
            || value[(end + 1)..].IndexOf((byte)' ') is var second && second <= 0
            || !int.TryParse(value.Slice(end + 1, second), CultureInfo.InvariantCulture, out var length)
            || length != value.Length)
        {
            return null;
        }

        return value.SequenceEqual(Of(id, length)) ? id : null;
    }
}
