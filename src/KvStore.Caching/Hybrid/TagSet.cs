using System.Buffers;
using System.Text;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>The tags of a call, as they are stored.</summary>
/// <remarks>A tag is stored as it is, as JSON. One that is not Unicode cannot be stored.</remarks>
internal static class TagSet
{
    /// <summary>The tag of every entry.</summary>
    public const string All = "*";

    private static readonly SearchValues<char> s_surrogates = SearchValues.Create([.. Enumerable.Range(0xD800, 0x800).Select(static c => (char)c)]);

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
                throw new ArgumentException($"A tag of the entry is \"{All}\", which stands for all entries in {nameof(HybridCache.RemoveByTagAsync)}; use another tag.", nameof(tags));
            }

            if (!stored.Contains(tag, StringComparer.Ordinal))
            {
                stored.Add(tag);
            }
        }

        return [.. stored];
    }

    /// <summary>Whether a key or a tag is Unicode: it has no half of a surrogate pair.</summary>
    public static bool IsUnicode(ReadOnlySpan<char> text)
    {
        // Most texts have no surrogates.
        var first = text.IndexOfAny(s_surrogates);
        text = first < 0 ? default : text[first..];
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
