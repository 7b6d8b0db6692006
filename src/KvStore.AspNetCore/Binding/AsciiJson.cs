using System.Globalization;
using System.Text;

namespace KvStore.Binding;

/// <summary>JSON as the value of a header: characters beyond ASCII, which only stand in strings, become escapes.</summary>
internal static class AsciiJson
{
    public static string Escape(ReadOnlySpan<byte> utf8)
    {
        if (Ascii.IsValid(utf8))
        {
            return Encoding.ASCII.GetString(utf8);
        }

        var text = new StringBuilder(utf8.Length * 2);
        foreach (var unit in Encoding.UTF8.GetString(utf8))
        {
            if (unit is >= ' ' and <= '~')
            {
                text.Append(unit);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
            }
        }

        return text.ToString();
    }
}
