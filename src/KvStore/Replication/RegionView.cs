using KvStore.Engine;
using KvStore.Expiry;
using KvStore.Keys;

namespace KvStore.Replication;

/// <summary>
/// A region's view of a store: the newest state, which is the engine's, except for what the region has not heard yet; and
/// before that, where regions cache, what it has cached.
/// </summary>
/// <remarks>
/// Where nothing is in flight for the region, a read asks one word before the engine and again after it: if that is the
/// same, and says that there is nothing, then there was nothing in between either. Thread safety: all members, from any
/// thread.
/// </remarks>
internal sealed class RegionView
{
    private readonly ShardedStore _store;
    private readonly CoarseClock _clock;
    private readonly ReplicationQueue _queue;

    public RegionView(
        Region region, ShardedStore store, CoarseClock clock, ReplicationQueue queue, KvEdgeCacheOptions? cache, string name)
    {
        Region = region;
        _store = store;
        _clock = clock;
        _queue = queue;
        Cache = cache is null ? null : new RegionCache(this, clock, queue, cache, name);
    }

    /// <summary>The region.</summary>
    public Region Region { get; }

    /// <summary>What it has cached; null when it doesn't cache.</summary>
    public RegionCache? Cache { get; }

    /// <summary>Reads a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cacheTtlSeconds">How old a cached answer may be; null for the default.</param>
    /// <param name="value">The entry, with the status of the cache.</param>
    /// <returns>Whether it exists.</returns>
    public bool TryGet<TKey>(in TKey key, int? cacheTtlSeconds, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        if (Cache is not null)
        {
            value = Cache.Get(key, cacheTtlSeconds);
            return value.Exists;
        }

        if (TryFind(key, out var record, out _))
        {
            value = record.ToValue();
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Finds what has arrived of a key, whatever is cached.</summary>
    /// <param name="key">The key.</param>
    /// <param name="record">The record.</param>
    /// <param name="word">Its word in the index; 0 when the engine has another record by now.</param>
    /// <returns>Whether there is a value that has not expired.</returns>
    public bool TryFind<TKey>(in TKey key, out Record record, out long word)
        where TKey : struct, IKey, allows ref struct
    {
        var before = Region.Flights;
        if ((uint)before == 0)
        {
            var isFound = _store.TryFind(key, out record, out word);

            // What was read must have been read before the word is read again.
            Volatile.ReadBarrier();
            if (Region.Flights == before)
            {
                return isFound;
            }
        }

        return _queue.InFlight.TryFind(Region, key, out record, out word) && (word != 0 || !_clock.HasPassed(record.Deadline));
    }

    /// <summary>Lists keys.</summary>
    /// <param name="prefix">What they begin with.</param>
    /// <param name="after">The key after which the page begins; empty for the first.</param>
    /// <param name="limit">The most keys of the page.</param>
    /// <returns>A page, with the status of the cache.</returns>
    public KvListPage List(byte[] prefix, byte[] after, int limit) =>
        Cache is null ? ListArrived(prefix, after, limit) : Cache.List(prefix, after, limit);

    /// <summary>Lists the keys that have arrived, whatever is cached.</summary>
    public KvListPage ListArrived(byte[] prefix, byte[] after, int limit)
    {
        var before = Region.Flights;
        if ((uint)before == 0)
        {
            var page = ListPage.Read(_store, prefix, after, limit);
            Volatile.ReadBarrier();
            if (Region.Flights == before)
            {
                return page;
            }
        }

        _queue.Sweep();
        return ListPage.Of(Merge(prefix, after, limit + 1), limit);
    }

    // The engine's keys, with what the region sees in place of what it has not heard.
    private Record[] Merge(byte[] prefix, byte[] after, int count)
    {
        var results = new List<Record>(count);
        var newest = new Record[count];
        var inFlight = new List<(byte[] Key, Record Visible)>();
        bool isEnd;
        do
        {
            // First the engine, then what is in flight: whatever is in the one too early is in the other as well.
            var found = _store.List(prefix, after, newest);
            isEnd = found < newest.Length;
            inFlight.Clear();
            _queue.InFlight.Collect(Region, prefix, after, inFlight);
            inFlight.Sort(static (left, right) => left.Key.AsSpan().SequenceCompareTo(right.Key));

            var next = 0;
            foreach (ref readonly var record in newest.AsSpan(0, found))
            {
                var order = -1;
                while (next < inFlight.Count && (order = inFlight[next].Key.AsSpan().SequenceCompareTo(record.Key)) < 0)
                {
                    Add(inFlight[next++].Visible);
                }

                if (next < inFlight.Count && order == 0)
                {
                    Add(inFlight[next++].Visible);
                }
                else
                {
                    results.Add(record);
                }
            }

            while (isEnd && next < inFlight.Count)
            {
                Add(inFlight[next++].Visible);
            }

            after = found == 0 ? after : newest[found - 1].Key.ToArray();
        }
        while (!isEnd && results.Count < count);
        return [.. results.Take(count)];

        void Add(Record visible)
        {
            if (!visible.IsNone && !_clock.HasPassed(visible.Deadline))
            {
                results.Add(visible);
            }
        }
    }
}
