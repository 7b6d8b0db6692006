using KvStore.Keys;

namespace KvStore.OutputCaching;

/// <summary>The names under which tags are kept: Unicode of at most 512 bytes. A tag that is longer or not Unicode is hashed.</summary>
internal static class TagNames
{
    private static readonly EntryKeys s_names = new(prefix: "");

    /// <summary>The name of a tag. Two tags never have one name, except where SHA-256 collides.</summary>
    public static string Of(string tag) => s_names.Of(tag);

    /// <summary>The names of the tags of a page, each once.</summary>
    /// <exception cref="ArgumentException">A tag is null.</exception>
    public static string[] Of(ReadOnlySpan<string> tags)
    {
        if (tags.IsEmpty)
        {
            return [];
        }

        var names = new string[tags.Length];
        var count = 0;
        foreach (var tag in tags)
        {
            var name = Of(tag ?? throw new ArgumentException("A tag is null.", nameof(tags)));
            if (Array.IndexOf(names, name, 0, count) < 0)
            {
                names[count++] = name;
            }
        }

        Array.Resize(ref names, count);
        return names;
    }
}
