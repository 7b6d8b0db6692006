using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace KvStore.Hybrid;

/// <summary>The tags of a call, as they are stored.</summary>
/// <remarks>
/// A tag is stored as it is. One that is not Unicode becomes <c>~utf16/</c> and hexadecimal digits, and one that begins with <c>~</c> gets another
/// <c>~</c> in front, so that different tags never meet.
/// </remarks>
internal static class TagSet
{
    /// <summary>The tag of every entry.</summary>
    public const string All = "*";

    private const char Mark = '~';

    /// <summary>Checks the tags of an entry and writes them as they are stored, each once.</summary>
    /// <exception cref="ArgumentException">A tag is empty or blank, or <c>*</c>.</exception>
    public static string[] Of(IEnumerable<string>? tags)
    {
        if (tags is null or ICollection<string> { Count: 0 })
        {
            return [];
        }

        var stored = new List<string>();
        foreach (var tag in tags)
        {
            if (string.IsNullOrWhiteSpace(tag))
            {
                throw new ArgumentException("A tag of the entry is empty or blank; it must have a visible character.", nameof(tags));
            }

            if (tag == All)
            {
                throw new ArgumentException($"A tag of the entry is \"{All}\", which stands for all entries in {nameof(KvHybridCache.RemoveByTagAsync)}; use another tag.", nameof(tags));
            }

            var text = Of(tag);
            if (!stored.Contains(text, StringComparer.Ordinal))
            {
                stored.Add(text);
            }
        }

        return [.. stored];
    }

    /// <summary>A tag as it is stored.</summary>
    public static string Of(string tag) =>
        !IsUnicode(tag) ? $"{Mark}utf16/{Convert.ToHexStringLower(MemoryMarshal.AsBytes(tag.AsSpan()))}"
        : tag[0] == Mark ? Mark + tag
        : tag;

    private static bool IsUnicode(ReadOnlySpan<char> text)
    {
        while (text.Length > 0)
        {
            if (Rune.DecodeFromUtf16(text, out _, out var used) != OperationStatus.Done)
            {
                return false;
            }

            text = text[used..];
        }

        return true;
    }
}
