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
        var question = QuestionOf(prefix, after, limit);
        if (!_pages.ContainsKey(question))
        {
            if (_pages.Count >= pagesMax)
            {
                _pages.Remove(_oldestFirst.Dequeue());
            }

            _oldestFirst.Enqueue(question);
        }

        _pages[question] = new Page(page, prefix, readTicks, endTicks);
    }

    /// <summary>Drops the pages that a key belongs to, or would.</summary>
    public void Drop(ReadOnlySpan<byte> key)
    {
        var isConcerned = false;
        foreach (var page in _pages.Values)
        {
            isConcerned |= key.StartsWith(page.Prefix);
        }

        if (isConcerned)
        {
            var written = key.ToArray();
            Retain(page => !written.AsSpan().StartsWith(page.Prefix));
        }
    }

    /// <summary>Forgets the pages that ran out before a time.</summary>
    public void Prune(long endedTicks) => Retain(page => page.EndTicks > endedTicks);

    private void Retain(Func<Page, bool> isRetained)
    {
        for (var i = _oldestFirst.Count; i > 0; i--)
        {
            var question = _oldestFirst.Dequeue();
            if (isRetained(_pages[question]))
            {
                _oldestFirst.Enqueue(question);
            }
            else
            {
                _pages.Remove(question);
            }
        }
    }

    private static Question QuestionOf(byte[] prefix, byte[] after, int limit) =>
        new(Convert.ToBase64String(prefix), Convert.ToBase64String(after), limit);

    private readonly record struct Question(string Prefix, string After, int Limit);

    private sealed record Page(KvListPage Listed, byte[] Prefix, long ReadTicks, long EndTicks);
}
