using System.Text;
using KvStore.Rules;

namespace KvStore.Dashboard;

/// <summary>A key of a page, or a folder: all keys that begin with its name.</summary>
/// <param name="Name">The key, or the prefix that ends with the delimiter.</param>
/// <param name="IsFolder">Whether it is a folder.</param>
/// <param name="Key">The key with its expiration and metadata, where it is one.</param>
internal readonly record struct KeyItem(string Name, bool IsFolder, KvListKey Key);

/// <summary>A page of keys and folders, in the order of the keys.</summary>
/// <param name="Items">What is on it.</param>
/// <param name="Next">Where the next page begins; null when there is none.</param>
internal sealed record KeyPage(IReadOnlyList<KeyItem> Items, string? Next);

/// <summary>
/// Browses keys as if they were paths. A folder costs one step, however much is in it: the listing goes on behind the last key
/// that the folder can hold.
/// </summary>
internal static class KeyFolders
{
    private const int FirstStep = 4;

    /// <summary>Reads a page.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="prefix">What the keys begin with.</param>
    /// <param name="delimiter">What ends the name of a folder; empty for no folders.</param>
    /// <param name="cursor">Where the page begins; null for the first.</param>
    /// <param name="limit">The most keys and folders.</param>
    /// <exception cref="KvException">The cursor is none (400), or the prefix is too long (414).</exception>
    public static KeyPage Read(KvNamespace kv, string prefix, string delimiter, string? cursor, int limit)
    {
        var keyBytesMax = kv.Limits.KeyBytesMax;
        var items = new List<KeyItem>(limit);
        var lastCursor = cursor;
        var step = delimiter.Length == 0 ? limit + 1 : FirstStep;
        while (true)
        {
            var page = kv.PeekKeys(new KvListOptions { Prefix = prefix, Cursor = cursor, Limit = Math.Min(step, kv.Limits.ListKeysMax) });
            var hasJumped = false;
            foreach (var key in page.Keys)
            {
                if (items.Count == limit)
                {
                    return new KeyPage(items, lastCursor);
                }

                var folder = FolderOf(key.Name, prefix, delimiter);
                items.Add(new KeyItem(folder ?? key.Name, folder is not null, key));
                lastCursor = folder is null ? ListCursor.After(Encoding.UTF8.GetBytes(key.Name)) : Past(folder, keyBytesMax);
                if (folder is not null)
                {
                    hasJumped = true;
                    break;
                }
            }

            if (!hasJumped && page.ListComplete)
            {
                return new KeyPage(items, Next: null);
            }

            // Behind a folder there is often another; in a run of keys, more of them.
            step = hasJumped ? FirstStep : Math.Min(step * 4, limit + 1);
            cursor = hasJumped ? lastCursor : page.Cursor;
        }
    }

    /// <summary>
    /// The same of a namespace whose cursors are its own: it is asked for one page, whose keys are put together in folders. A
    /// folder that is longer than the page begins the next one again.
    /// </summary>
    public static KeyPage Group(KvListPage page, string prefix, string delimiter)
    {
        var items = new List<KeyItem>();
        foreach (var key in page.Keys)
        {
            var folder = FolderOf(key.Name, prefix, delimiter);
            if (folder is null || items.Count == 0 || !items[^1].IsFolder || items[^1].Name != folder)
            {
                items.Add(new KeyItem(folder ?? key.Name, folder is not null, key));
            }
        }

        return new KeyPage(items, page.Cursor);
    }

    private static string? FolderOf(string key, string prefix, string delimiter)
    {
        var at = delimiter.Length == 0 ? -1 : key.IndexOf(delimiter, prefix.Length, StringComparison.Ordinal);
        return at < 0 ? null : key[..(at + delimiter.Length)];
    }

    // After every key that begins with the folder's name: no byte of UTF-8 is as high as 0xFF. Where that would be longer than
    // any key, the folder can hold none but the one that is named like it.
    private static string Past(string folder, int keyBytesMax)
    {
        var bytes = Encoding.UTF8.GetBytes(folder);
        return ListCursor.After(bytes.Length < keyBytesMax ? [.. bytes, 0xFF] : bytes);
    }
}
