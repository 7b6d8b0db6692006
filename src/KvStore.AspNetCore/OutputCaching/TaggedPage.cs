using System.Diagnostics;

namespace KvStore.OutputCaching;

/// <summary>A key that has a page with tags, or may have one. All members only while holding the lock of the <see cref="TagIndex"/>.</summary>
/// <remarks>
/// Writes of one key may overlap, and the store alone knows which was the last. So the page has the tags of several writes until that is
/// clear: those of every write that may be the last one.
/// </remarks>
internal sealed class TaggedPage(string key)
{
    private readonly List<PageWrite> _writes = [];

    /// <summary>The key in the namespace.</summary>
    public string Key => key;

    /// <summary>The writes that may be the last one.</summary>
    public IReadOnlyList<PageWrite> Writes => _writes;

    /// <summary>How many writes are under way.</summary>
    public int PendingCount { get; private set; }

    /// <summary>Whether it is not known any more which write was the last when none is under way.</summary>
    public bool IsUnclear { get; private set; }

    /// <summary>Changes whenever something else does.</summary>
    public long Version { get; private set; }

    /// <summary>Whether the page was shown since the watch began anew.</summary>
    public bool IsSeen { get; set; } = true;

    /// <summary>A write begins.</summary>
    public void Begin(PageWrite write)
    {
        IsUnclear |= PendingCount > 0;
        PendingCount++;
        Version++;
        _writes.Add(write);
    }

    /// <summary>A write ends.</summary>
    /// <returns>Whether the last write is known now, so that the page has its tags only.</returns>
    public bool End(PageWrite write, bool succeeded)
    {
        Debug.Assert(PendingCount > 0 && _writes.Contains(write));
        PendingCount--;
        Version++;
        IsUnclear |= !succeeded;
        if (PendingCount > 0 || IsUnclear)
        {
            return false;
        }

        // No other write overlapped it, so it came after all others.
        _writes.Clear();
        _writes.Add(write);
        return true;
    }

    /// <summary>The store has shown a write of somebody else, or of an earlier process.</summary>
    public void Add(PageWrite write)
    {
        IsUnclear |= _writes.Count > 0;
        Version++;
        _writes.Add(write);
    }

    /// <summary>The page may have been replaced or removed by somebody else.</summary>
    public void MakeUnclear()
    {
        IsUnclear = true;
        Version++;
    }

    /// <summary>What the store has is known: this write, or none.</summary>
    public void Settle(PageWrite? last)
    {
        Debug.Assert(PendingCount == 0);
        IsUnclear = false;
        Version++;
        _writes.Clear();
        if (last is not null)
        {
            _writes.Add(last);
        }
    }
}

/// <summary>A write of a page with tags.</summary>
/// <param name="number">Its place in the order of the writes.</param>
/// <param name="tags">The names of the tags.</param>
internal sealed class PageWrite(long number, string[] tags)
{
    /// <summary>Its place in the order of the writes.</summary>
    public long Number => number;

    /// <summary>The names of the tags.</summary>
    public string[] Tags => tags;

    /// <summary>Whether it is under way. Only while holding the lock of the <see cref="TagIndex"/>.</summary>
    public bool IsPending { get; set; }

    /// <summary>The evictions that came while it was under way, which its end must carry out; null for none. Only while holding the lock.</summary>
    public List<TagEviction>? EvictedBy { get; set; }
}

/// <summary>The eviction of a tag, from the moment when it takes effect until every page is deleted.</summary>
/// <param name="tag">The name of the tag.</param>
internal sealed class TagEviction(string tag)
{
    /// <summary>The name of the tag.</summary>
    public string Tag => tag;

    /// <summary>Writes up to this number are evicted. Only grows. Only while holding the lock of the <see cref="TagIndex"/>.</summary>
    public long Through { get; set; }

    /// <summary>How many calls have pages to delete. Only while holding the lock.</summary>
    public int Holders { get; set; }

    /// <summary>How many of them could not delete theirs. Only while holding the lock.</summary>
    public int FailedHolders { get; set; }
}
