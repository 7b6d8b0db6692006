using System.Runtime.CompilerServices;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using KvStore.Values;

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
    private readonly LargeValueLeases _largeValues;

    public RegionView(
        Region region,
        ShardedStore store,
        CoarseClock clock,
        ReplicationQueue queue,
        LargeValueLeases largeValues,
        KvEdgeCacheOptions? cache,
        string name)
    {
        Region = region;
        _store = store;
        _clock = clock;
        _queue = queue;
        _largeValues = largeValues;
        Cache = cache is null ? null : new RegionCache(this, clock, queue, cache, name);
    }

    /// <summary>The region.</summary>
    public Region Region { get; }

    /// <summary>What it has cached; null when it doesn't cache.</summary>
    public RegionCache? Cache { get; }

    /// <summary>Prepares a mutation that is made in this region.</summary>
    /// <exception cref="InvalidOperationException">The lag model gave a negative lag.</exception>
    public Departure Depart() => _queue.Depart(Region, Cache);

    /// <summary>Reads a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cacheTtlSeconds">How old a cached answer may be; null for the default.</param>
    /// <param name="value">The entry, with the status of the cache.</param>
    /// <returns>Whether it exists.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryGet<TKey>(in TKey key, int? cacheTtlSeconds, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        // The same as below, for what is true nearly always: nothing in flight, no cache, a value in memory.
        var before = Region.Flights;
        if ((uint)before == 0 && Cache is null)
        {
            var isFound = _store.TryFind(key, out var record, out _);
            Volatile.ReadBarrier();
            if (Region.Flights == before && !(isFound && record.IsLarge))
            {
                value = isFound ? record.ToValue() : default;
                return isFound;
            }
        }

        return TryGetSeldom(key, cacheTtlSeconds, out value);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryGetSeldom<TKey>(in TKey key, int? cacheTtlSeconds, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        if (Cache is not null)
        {
            value = Cache.Get(key, cacheTtlSeconds);
            return value.Exists;
        }

        value = default;
        return TryFind(key, out var arrived) && TryView(key, arrived, out value);
    }

    /// <summary>What a read would be answered, without being one: see <see cref="RegionCache.TryPeek"/>.</summary>
    public KvValue Peek<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (Cache is null || !Cache.TryPeek(key, out var value))
        {
            value = default;
            _ = TryFind(key, out var arrived) && TryView(key, arrived, out value);
        }

        return value;
    }

    /// <summary>Finds what has arrived of a key, whatever is cached.</summary>
    /// <param name="key">The key.</param>
    /// <param name="arrived">What has arrived.</param>
    /// <returns>Whether there is a value that has not expired.</returns>
    public bool TryFind<TKey>(in TKey key, out ArrivedRecord arrived)
        where TKey : struct, IKey, allows ref struct
    {
        var before = Region.Flights;
        if ((uint)before == 0)
        {
            var isFound = _store.TryFind(key, out var record, out var word);

            // What was read must have been read before the word is read again.
            Volatile.ReadBarrier();
            if (Region.Flights == before)
            {
                arrived = new ArrivedRecord(record, word, Held: null);
                return isFound;
            }
        }

        return _queue.InFlight.TryFind(Region, key, out arrived)
            && (arrived.Word != 0 || !_clock.HasPassed(arrived.Record.Deadline));
    }

    /// <summary>A view for a caller on what has arrived.</summary>
    /// <returns>False when the value was kept outside memory and is gone meanwhile.</returns>
    public bool TryView<TKey>(in TKey key, in ArrivedRecord arrived, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        var record = arrived.Record;
        do
        {
            if (TryView(record, out value))
            {
                return true;
            }
        }
        while (TryFindAgain(key, ref record));
        return false;
    }

    /// <summary>A view for a caller on a record, which is held where its value is kept outside memory.</summary>
    /// <returns>False when the value was kept outside memory and is gone meanwhile.</returns>
    public bool TryView(Record record, out KvValue value)
    {
        if (!record.IsLarge)
        {
            value = record.ToValue();
            return true;
        }

        var isThere = _largeValues.TryView(record.LargeValue, record, out var view);
        value = isThere ? record.ToValue(view!) : default;
        return isThere;
    }

    /// <summary>Holds a value that is kept outside memory, so that it stays readable though it is replaced.</summary>
    /// <returns>
    /// What the region sees, with its value held where that is outside memory, which the caller disposes; null when it sees nothing any
    /// more.
    /// </returns>
    public ArrivedRecord? TryHold<TKey>(in TKey key, in ArrivedRecord arrived)
        where TKey : struct, IKey, allows ref struct
    {
        var record = arrived.Record;
        do
        {
            if (!record.IsLarge)
            {
                return new ArrivedRecord(record, Word: 0, Held: null);
            }

            if (_largeValues.TryHold(record.LargeValue) is { } held)
            {
                return new ArrivedRecord(record, Word: 0, held);
            }
        }
        while (TryFindAgain(key, ref record));
        return null;
    }

    // Replaced between the look-up and here; or expired, if it still leads here.
    private bool TryFindAgain<TKey>(in TKey key, ref Record record)
        where TKey : struct, IKey, allows ref struct
    {
        var before = record.LargeValue;
        if (!TryFind(key, out var arrived) || (arrived.Record.IsLarge && arrived.Record.LargeValue == before))
        {
            return false;
        }

        record = arrived.Record;
        return true;
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
