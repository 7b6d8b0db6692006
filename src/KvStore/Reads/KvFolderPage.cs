namespace KvStore;

/// <summary>A key, or a folder: all keys that begin with its name.</summary>
public readonly record struct KvFolderItem
{
    /// <summary>Makes an item.</summary>
    /// <param name="name">The key, or the name of the folder from the beginning of its keys to the delimiter.</param>
    /// <param name="key">The key with its expiration and metadata; null for a folder.</param>
    public KvFolderItem(string name, KvListKey? key)
    {
        Name = name;
        Key = key;
    }

    /// <summary>The key, or the name of the folder from the beginning of its keys to the delimiter.</summary>
    public string Name { get; }

    /// <summary>The key with its expiration and metadata; null for a folder.</summary>
    public KvListKey? Key { get; }

    /// <summary>Whether this is a folder.</summary>
    public bool IsFolder => Key is null;
}

/// <summary>A page of keys and folders, in the order of the keys. Immutable.</summary>
public sealed class KvFolderPage
{
    internal KvFolderPage(IReadOnlyList<KvFolderItem> items, string? cursor)
    {
        Items = items;
        Cursor = cursor;
    }

    /// <summary>The keys and folders.</summary>
    public IReadOnlyList<KvFolderItem> Items { get; }

    /// <summary>Where the next page begins; null when this is the last one.</summary>
    public string? Cursor { get; }

    /// <summary>
    /// Groups the keys of a page that any namespace has listed. A folder that does not end on the page begins the next page again.
    /// </summary>
    /// <param name="page">The page.</param>
    /// <param name="prefix">The prefix that the page was listed with.</param>
    /// <param name="delimiter">What ends the name of a folder; empty for no folders.</param>
    /// <returns>The keys and folders of the page.</returns>
    public static KvFolderPage Group(KvListPage page, string prefix, string delimiter)
    {
        ArgumentNullException.ThrowIfNull(page);
        ArgumentNullException.ThrowIfNull(prefix);
        ArgumentNullException.ThrowIfNull(delimiter);
        var items = new List<KvFolderItem>(page.Keys.Count);
        foreach (var key in page.Keys)
        {
            var folder = FolderOf(key.Name, prefix, delimiter);
            if (folder is null || items.Count == 0 || !items[^1].IsFolder || items[^1].Name != folder)
            {
                items.Add(new KvFolderItem(folder ?? key.Name, folder is null ? key : null));
            }
        }

        return new KvFolderPage(items, page.Cursor);
    }

    /// <summary>The name of the folder of a key; null when the key lies in none.</summary>
    internal static string? FolderOf(string key, string prefix, string delimiter)
    {
        var at = delimiter.Length == 0 ? -1 : key.IndexOf(delimiter, prefix.Length, StringComparison.Ordinal);
        return at < 0 ? null : key[..(at + delimiter.Length)];
    }
}
