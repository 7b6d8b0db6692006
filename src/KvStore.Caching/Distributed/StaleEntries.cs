using System.Collections.Concurrent;

namespace KvStore.Distributed;

/// <summary>
/// The entries that a failed write should have replaced or removed. A cache that went on showing them would show what the application has
/// said is no longer so.
/// </summary>
/// <remarks>
/// <para>An entry is stale in the revision that it had, so that a later write of the key ends it. At most <see cref="KeysMax"/> keys
/// are remembered; beyond that every entry up to the newest of those revisions counts as stale.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class StaleEntries
{
    /// <summary>The most keys that are remembered.</summary>
    public const int KeysMax = 100_000;

    private readonly ConcurrentDictionary<string, long> _revisions = new(StringComparer.Ordinal);
    private long _allThrough;

    // About: ConcurrentDictionary.Count takes all its locks.
    private int _count;

    // Asked by every read, so it must not count the keys.
    private volatile bool _isAny;

    /// <summary>Whether nothing is stale.</summary>
    public bool IsEmpty => !_isAny;

    /// <summary>The keys that are remembered, with the revision up to which their entries are stale.</summary>
    public IEnumerable<KeyValuePair<string, long>> Keys => _revisions;

    /// <summary>Whether an entry is stale.</summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision of the entry.</param>
    public bool Contains(string key, long revision) =>
        _isAny && (revision <= Volatile.Read(ref _allThrough) || (_revisions.TryGetValue(key, out var stale) && revision <= stale));

    /// <summary>Remembers an entry.</summary>
    /// <param name="key">The key.</param>
    /// <param name="revision">The revision of the entry that should not be there any more.</param>
    public void Add(string key, long revision)
    {
        if (_revisions.TryAdd(key, revision))
        {
            if (Interlocked.Increment(ref _count) > KeysMax && _revisions.TryRemove(key, out _))
            {
                Interlocked.Decrement(ref _count);
                InterlockedMax(ref _allThrough, revision);
            }
        }
        else
        {
            _revisions.AddOrUpdate(key, static (_, added) => added, static (_, present, added) => Math.Max(present, added), revision);
        }

        _isAny = true;
    }

    /// <summary>Forgets an entry that is stale no longer, or not in the store any more.</summary>
    /// <param name="entry">What <see cref="Keys"/> said.</param>
    public void Remove(KeyValuePair<string, long> entry)
    {
        if (_revisions.TryRemove(entry))
        {
            Interlocked.Decrement(ref _count);
        }

        if (_revisions.IsEmpty && Volatile.Read(ref _allThrough) == 0)
        {
            _isAny = false;

            // One that was added meanwhile is seen here, or sets the field after this.
            if (!_revisions.IsEmpty || Volatile.Read(ref _allThrough) != 0)
            {
                _isAny = true;
            }
        }
    }

    private static void InterlockedMax(ref long target, long value)
    {
        for (var current = Volatile.Read(ref target); current < value;)
        {
            var found = Interlocked.CompareExchange(ref target, value, current);
            if (found == current)
            {
                return;
            }

            current = found;
        }
    }
}
