using System.Text;
using KvStore.Rules;

namespace KvStore;

/// <summary>
/// Reads a namespace without being counted as a reader: no metric or trace is recorded, no region caches the result, and cached
/// results do not stay cached for longer. For dashboards, exports and tests.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="kv">The namespace. It stays the property of the caller.</param>
public sealed class KvInspector(KvNamespace kv)
{
    // The number of keys of the first step. It is small, because the next key may be in a folder that is skipped.
    private const int FirstStep = 4;

    private readonly KvNamespace _kv = kv ?? throw new ArgumentNullException(nameof(kv));

    /// <summary>Reads an entry as a get would answer it.</summary>
    /// <param name="key">The key.</param>
    /// <param name="region">The region that reads; null for the home region, or for a namespace that is not replicated.</param>
    /// <returns>The entry, which the caller disposes when it is a large one.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or there is no such region.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public KvValue Peek(string key, string? region = null) => _kv.Peek(key, region);

    /// <summary>
    /// Reads the newest version of an entry, also where the home region does not see it yet: the version that the conditions of
    /// <see cref="IKvExtendedNamespace"/> are about.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <returns>The entry, which the caller disposes when it is a large one.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public KvValue PeekNewest(string key) => _kv.ReadNewest(key);

    /// <summary>
    /// Lists the keys that begin with a prefix as if they were paths. All keys that share what follows the prefix up to a
    /// delimiter are one folder. A folder costs one step, however many keys are in it.
    /// </summary>
    /// <param name="prefix">What the keys begin with; empty for all keys.</param>
    /// <param name="delimiter">What ends the name of a folder, for example <c>/</c>; empty for no folders.</param>
    /// <param name="cursor">The <see cref="KvFolderPage.Cursor"/> of the page before; null for the first page.</param>
    /// <param name="limit">The most keys and folders on the page; at least 1.</param>
    /// <returns>The page, in the order of the keys.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The limit is less than 1.</exception>
    /// <exception cref="KvException">The cursor is none (400), or the prefix is too long (414).</exception>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public KvFolderPage ListFolders(string prefix, string delimiter, string? cursor = null, int limit = 1000)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        ArgumentNullException.ThrowIfNull(delimiter);
        OutOfRange.ThrowIfLessThan(limit, 1);
        var limits = _kv.Limits;
        var items = new List<KvFolderItem>(Math.Min(limit, limits.ListKeysMax));
        var lastCursor = cursor;
        var step = delimiter.Length == 0 ? limit + 1L : FirstStep;
        while (true)
        {
            var page = _kv.PeekKeys(new KvListOptions { Prefix = prefix, Cursor = cursor, Limit = (int)Math.Min(step, limits.ListKeysMax) });
            var hasJumped = false;
            foreach (var key in page.Keys)
            {
                if (items.Count == limit)
                {
                    return new KvFolderPage(items, lastCursor);
                }

                var folder = KvFolderPage.FolderOf(key.Name, prefix, delimiter);
                items.Add(new KvFolderItem(folder ?? key.Name, folder is null ? key : null));
                lastCursor = folder is null ? ListCursor.After(Encoding.UTF8.GetBytes(key.Name)) : AfterFolder(folder, limits.KeyBytesMax);
                if (folder is not null)
                {
                    hasJumped = true;
                    break;
                }
            }

            if (!hasJumped && page.ListComplete)
            {
                return new KvFolderPage(items, cursor: null);
            }

            // Another folder often follows a folder, and a key follows a key.
            step = hasJumped ? FirstStep : Math.Min(step * 4, limit + 1L);
            cursor = hasJumped ? lastCursor : page.Cursor;
        }
    }

    // The cursor behind every key that begins with the name of the folder: no byte of UTF-8 is 0xFF. When the name is as long as
    // the longest key, the only such key is the name itself.
    private static string AfterFolder(string folder, int keyBytesMax)
    {
        var bytes = Encoding.UTF8.GetBytes(folder);
        return ListCursor.After(bytes.Length < keyBytesMax ? [.. bytes, 0xFF] : bytes);
    }
}
