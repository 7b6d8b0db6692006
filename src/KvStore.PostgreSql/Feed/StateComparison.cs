namespace KvStore.PostgreSql.Feed;

/// <summary>Compares the entries of the database with those in memory, both in the order of the bytes of their keys.</summary>
/// <remarks>Only keys and revisions are compared. Entries may change in memory meanwhile. Not thread-safe.</remarks>
internal sealed class StateComparison(IKvEngineHost host)
{
    private const int PageEntries = 1024;

    private readonly KvEngineEntry[] _page = new KvEngineEntry[PageEntries];
    private int _count = PageEntries;
    private int _next = PageEntries;
    private ReadOnlyMemory<byte> _last;

    /// <summary>The keys of which the database has a newer revision than memory.</summary>
    public List<ReadOnlyMemory<byte>> Outdated { get; } = [];

    /// <summary>
    /// The keys of which memory has a newer revision than the database, or the database has nothing, with the revision in memory. Either
    /// the key changed after the state was read, or its delete was missed, or the database was set back.
    /// </summary>
    public List<(ReadOnlyMemory<byte> Key, long Revision)> Suspects { get; } = [];

    /// <summary>The next entry or delete of the database.</summary>
    public void Add(byte[] key, long revision)
    {
        PassThrough(key);
        var known = host.RevisionOf(key);
        if (known < revision)
        {
            Outdated.Add(key);
        }
        else if (known > revision)
        {
            Suspects.Add((key, known));
        }
    }

    /// <summary>The database has no more entries.</summary>
    public void Complete() => PassThrough(through: null);

    // The entries in memory before a key have no entry in the database.
    private void PassThrough(byte[]? through)
    {
        while (TryPeek(out var entry))
        {
            var order = through is null ? -1 : entry.Key.Span.SequenceCompareTo(through);
            if (order > 0)
            {
                return;
            }

            _next++;
            if (order == 0)
            {
                return;
            }

            Suspects.Add((entry.Key, entry.Revision));
        }
    }

    private bool TryPeek(out KvEngineEntry entry)
    {
        if (_next == _count && _count == PageEntries)
        {
            _count = host.List(_last.Span, _page);
            _next = 0;
            _last = _count == 0 ? _last : _page[_count - 1].Key;
        }

        entry = _next < _count ? _page[_next] : default;
        return _next < _count;
    }
}
