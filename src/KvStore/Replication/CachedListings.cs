using KvStore.Diagnostics;

namespace KvStore.Replication;

/// <summary>The pages that a region has listed and goes on serving.</summary>
/// <remarks>Thread safety: none; it belongs to a <see cref="RegionCache"/>, under its lock.</remarks>
internal sealed class CachedListings(int pagesMax)
{
    private readonly Dictionary<Question, Page> _pages = [];
    private readonly Queue<Question> _oldestFirst = new();

    /// <summary>Finds a page that has not run out, without the keys that have expired since.</summary>
    public KvListPage? Find(byte[] prefix, byte[] after, int limit, long nowTicks, DateTimeOffset now, out string status)
    {
        status = "MISS";
        if (!_pages.TryGetValue(QuestionOf(prefix, after, limit), out var kept))
        {
            return null;
        }

        if (nowTicks >= kept.EndTicks)
        {
            status = "EXPIRED";
            return null;
        }

        status = "HIT";
        var alive = kept.Listed.Keys.Where(key => !key.Deadline.HasPassedAt(now));
        return new KvListPage([.. alive], kept.Listed.Cursor, status);
    }

    /// <summary>Keeps a page.</summary>
    public void Keep(byte[] prefix, byte[] after, int limit, KvListPage page, long readTicks, long endTicks)
    {
        // All memory comes first: what is in the one list is in the other.
        AllocationProbe.Before();
        var question = QuestionOf(prefix, after, limit);
        var kept = new Page(page, prefix, readTicks, endTicks);
        if (_pages.ContainsKey(question))
        {
            _pages[question] = kept;
            return;
        }

        AllocationProbe.Before();
        _oldestFirst.EnsureCapacity(_oldestFirst.Count + 1);
        if (_pages.Count == _pages.Capacity)
        {
            _pages.EnsureCapacity(Math.Max(4, _pages.Count * 2));
        }

        if (_pages.Count >= pagesMax)
        {
            _pages.Remove(_oldestFirst.Dequeue());
        }

        _pages.Add(question, kept);
        _oldestFirst.Enqueue(question);
    }

    /// <summary>Drops the pages that a key belongs to, or would. Allocates nothing: the key was written, and that stands.</summary>
    public void Drop(ReadOnlySpan<byte> key)
    {
        for (var i = _oldestFirst.Count; i > 0; i--)
        {
            var question = _oldestFirst.Dequeue();
            Keep(question, !key.StartsWith(_pages[question].Prefix));
        }
    }

    /// <summary>Forgets the pages that ran out before a time. Allocates nothing.</summary>
    public void Prune(long endedTicks)
    {
        for (var i = _oldestFirst.Count; i > 0; i--)
        {
            var question = _oldestFirst.Dequeue();
            Keep(question, _pages[question].EndTicks > endedTicks);
        }
    }

    private void Keep(in Question question, bool isKept)
    {
        if (isKept)
        {
            _oldestFirst.Enqueue(question);
        }
        else
        {
            _pages.Remove(question);
        }
    }

    private static Question QuestionOf(byte[] prefix, byte[] after, int limit) =>
        new(Convert.ToBase64String(prefix), Convert.ToBase64String(after), limit);

    private readonly record struct Question(string Prefix, string After, int Limit);

    private sealed record Page(KvListPage Listed, byte[] Prefix, long ReadTicks, long EndTicks);
}
