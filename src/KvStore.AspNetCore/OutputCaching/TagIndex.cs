using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace KvStore.OutputCaching;

/// <summary>Which pages have which tags, in memory. The tags themselves are kept in the entries; the index is made from them.</summary>
/// <remarks>
/// <para>Invariant: a key whose entry has a tag is below that tag here, from before the entry is visible. The opposite need not hold: a key
/// that is found here is compared with its entry before the entry is deleted.</para>
/// <para>An eviction takes effect in one step: it takes the number of the last write, and until its pages are deleted, readers skip pages
/// with the tag whose number is not higher. A write that is under way at that moment is evicted too, and deletes its page when it ends.</para>
/// <para>Entries that expire, are evicted or are deleted by others leave the index when the watch of the namespace shows it
/// (<see cref="TagWatch"/>).</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class TagIndex
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, TaggedPage> _pages = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<TaggedPage>> _tags = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TagEviction> _evictions = new(StringComparer.Ordinal);
    private long _lastNumber;

    // A copy for readers, without a lock: the number through which each tag is evicted. Null when nothing is being evicted.
    private volatile Dictionary<string, long>? _evictedThrough;
    private volatile bool _hasFailed;

    /// <summary>The tags that are being evicted, and the number of the last write that is; null for none.</summary>
    public IReadOnlyDictionary<string, long>? EvictedThrough => _evictedThrough;

    /// <summary>Whether pages of an eviction could not be deleted.</summary>
    public bool HasFailedEvictions => _hasFailed;

    /// <summary>How many pages and tags there are.</summary>
    internal (int Pages, int Tags) Count
    {
        get
        {
            lock (_lock)
            {
                return (_pages.Count, _tags.Count);
            }
        }
    }

    /// <summary>Begins a write. Call <see cref="End"/> afterwards.</summary>
    /// <param name="key">The key in the namespace.</param>
    /// <param name="tags">The names of the tags, at least one.</param>
    public PageWrite Begin(string key, string[] tags)
    {
        Debug.Assert(tags.Length > 0);
        lock (_lock)
        {
            var write = new PageWrite(++_lastNumber, tags) { IsPending = true };
            if (!_pages.TryGetValue(key, out var page))
            {
                page = new TaggedPage(key);
                _pages.Add(key, page);
            }

            page.Begin(write);
            AddToTags(page, tags);
            return write;
        }
    }

    /// <summary>Ends a write.</summary>
    /// <param name="key">The key in the namespace.</param>
    /// <param name="write">The write.</param>
    /// <param name="succeeded">Whether the page was stored.</param>
    /// <param name="evictions">The evictions that the caller must carry out for the page; each must be given to <see cref="Release"/>.</param>
    /// <returns>Whether the caller must look which page the store has, and call <see cref="TrySettle"/>.</returns>
    public bool End(string key, PageWrite write, bool succeeded, out IReadOnlyList<TagEviction> evictions)
    {
        lock (_lock)
        {
            var page = _pages[key];
            var before = TagsOf(page);
            write.IsPending = false;
            evictions = write.EvictedBy ?? [];
            write.EvictedBy = null;
            if (page.End(write, succeeded))
            {
                RemoveFromTags(page, before);
                return false;
            }

            return page.PendingCount == 0;
        }
    }

    /// <summary>The store has shown a page, with its number and the names of its tags.</summary>
    /// <returns>Whether the caller must look which page the store has, and call <see cref="TrySettle"/>.</returns>
    public bool NoteShown(string key, long number, string[] tags)
    {
        lock (_lock)
        {
            // Numbers that another process has given stay below those of this one.
            _lastNumber = Math.Max(_lastNumber, number);
            if (!_pages.TryGetValue(key, out var page))
            {
                if (tags.Length > 0)
                {
                    page = new TaggedPage(key);
                    _pages.Add(key, page);
                    page.Add(new PageWrite(number, tags));
                    AddToTags(page, tags);
                }

                return false;
            }

            page.IsSeen = true;
            foreach (var write in page.Writes)
            {
                if (write.Number == number && write.Tags.AsSpan().SequenceEqual(tags))
                {
                    return false;
                }
            }

            if (tags.Length > 0)
            {
                page.Add(new PageWrite(number, tags));
                AddToTags(page, tags);
            }

            page.MakeUnclear();
            return page.PendingCount == 0;
        }
    }

    /// <summary>An entry was removed.</summary>
    /// <returns>Whether the caller must look which page the store has, and call <see cref="TrySettle"/>.</returns>
    public bool NoteRemoved(string key)
    {
        lock (_lock)
        {
            if (!_pages.TryGetValue(key, out var page))
            {
                return false;
            }

            page.MakeUnclear();
            return page.PendingCount == 0;
        }
    }

    /// <summary>Before the caller looks which page the store has: the version to give to <see cref="TrySettle"/>.</summary>
    /// <returns>False when there is nothing to look for: a write that is under way will settle the page.</returns>
    public bool TryBeginSettling(string key, out long version)
    {
        lock (_lock)
        {
            version = 0;
            if (!_pages.TryGetValue(key, out var page) || page.PendingCount > 0)
            {
                return false;
            }

            version = page.Version;
            return true;
        }
    }

    /// <summary>The caller has seen which page the store has: its number and tags, or no tags for none.</summary>
    /// <returns>False when something has changed meanwhile, so that what was seen may be old.</returns>
    public bool TrySettle(string key, long version, long number, string[] tags)
    {
        lock (_lock)
        {
            if (!_pages.TryGetValue(key, out var page) || page.PendingCount > 0)
            {
                return true;
            }

            if (page.Version != version)
            {
                return false;
            }

            var before = TagsOf(page);
            page.Settle(tags.Length > 0 ? new PageWrite(number, tags) : null);
            AddToTags(page, tags);
            RemoveFromTags(page, before);
            return true;
        }
    }

    /// <summary>The watch shows everything anew.</summary>
    public void BeginAnew()
    {
        lock (_lock)
        {
            foreach (var page in _pages.Values)
            {
                page.IsSeen = false;
            }
        }
    }

    /// <summary>The keys that the watch has not shown since it began anew.</summary>
    public IReadOnlyList<string> Unseen()
    {
        lock (_lock)
        {
            return [.. _pages.Values.Where(static page => !page.IsSeen).Select(static page => page.Key)];
        }
    }

    /// <summary>Evicts a tag: readers skip its pages from now on.</summary>
    /// <param name="tag">The name of the tag.</param>
    /// <param name="keys">The keys whose pages may have the tag.</param>
    /// <param name="eviction">To be given to <see cref="Release"/> when the pages are deleted.</param>
    /// <returns>False when no page has the tag.</returns>
    public bool TryEvict(string tag, out IReadOnlyList<string> keys, [NotNullWhen(true)] out TagEviction? eviction)
    {
        lock (_lock)
        {
            keys = [];
            if (!_tags.TryGetValue(tag, out var pages))
            {
                eviction = null;
                return false;
            }

            if (!_evictions.TryGetValue(tag, out eviction))
            {
                eviction = new TagEviction(tag);
                _evictions.Add(tag, eviction);
            }

            eviction.Through = _lastNumber;
            eviction.Holders++;
            var found = new List<string>(pages.Count);
            foreach (var page in pages)
            {
                found.Add(page.Key);
                foreach (var write in page.Writes)
                {
                    if (write.IsPending && Array.IndexOf(write.Tags, tag) >= 0)
                    {
                        (write.EvictedBy ??= []).Add(eviction);
                        eviction.Holders++;
                    }
                }
            }

            keys = found;
            Publish();
            return true;
        }
    }

    /// <summary>The number through which a tag is evicted.</summary>
    public long ThroughOf(TagEviction eviction)
    {
        lock (_lock)
        {
            return eviction.Through;
        }
    }

    /// <summary>A caller has deleted its pages of an eviction, or could not.</summary>
    public void Release(TagEviction eviction, bool succeeded)
    {
        lock (_lock)
        {
            Debug.Assert(eviction.Holders > eviction.FailedHolders);
            if (!succeeded)
            {
                eviction.FailedHolders++;
                _hasFailed = true;
                return;
            }

            eviction.Holders--;
            EndIfReleased(eviction);
        }
    }

    /// <summary>Takes the evictions that have failed, to try them again. Each must be given to <see cref="Release"/>.</summary>
    public IReadOnlyList<(TagEviction Eviction, IReadOnlyList<string> Keys)> TakeFailed()
    {
        lock (_lock)
        {
            List<(TagEviction, IReadOnlyList<string>)> failed = [];
            foreach (var eviction in _evictions.Values)
            {
                if (eviction.FailedHolders > 0)
                {
                    // One call tries for all.
                    eviction.Holders -= eviction.FailedHolders - 1;
                    eviction.FailedHolders = 0;
                    failed.Add((eviction, _tags.TryGetValue(eviction.Tag, out var pages) ? [.. pages.Select(static page => page.Key)] : []));
                }
            }

            _hasFailed = false;
            return failed;
        }
    }

    private void EndIfReleased(TagEviction eviction)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread && eviction.Holders >= 0);
        if (eviction.Holders == 0)
        {
            _evictions.Remove(eviction.Tag);
            Publish();
        }
    }

    private void Publish()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        _evictedThrough = _evictions.Count == 0
            ? null
            : _evictions.ToDictionary(static eviction => eviction.Key, static eviction => eviction.Value.Through, StringComparer.Ordinal);
    }

    private void AddToTags(TaggedPage page, string[] tags)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        foreach (var tag in tags)
        {
            if (!_tags.TryGetValue(tag, out var pages))
            {
                _tags.Add(tag, pages = []);
            }

            pages.Add(page);
        }
    }

    // Removes a page from the tags that it had and has no more, and from the index when it has none.
    private void RemoveFromTags(TaggedPage page, string[] before)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        foreach (var tag in before)
        {
            if (!HasTag(page, tag) && _tags.TryGetValue(tag, out var pages) && pages.Remove(page) && pages.Count == 0)
            {
                _tags.Remove(tag);
            }
        }

        if (page.Writes.Count == 0)
        {
            _pages.Remove(page.Key);
        }
    }

    private static string[] TagsOf(TaggedPage page) =>
        page.Writes.Count == 1 ? page.Writes[0].Tags : [.. page.Writes.SelectMany(static write => write.Tags).Distinct(StringComparer.Ordinal)];

    private static bool HasTag(TaggedPage page, string tag)
    {
        foreach (var write in page.Writes)
        {
            if (Array.IndexOf(write.Tags, tag) >= 0)
            {
                return true;
            }
        }

        return false;
    }
}
