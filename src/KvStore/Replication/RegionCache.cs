using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Replication;

/// <summary>
/// What a region has read and goes on serving: entries, and the fact that there is no such key. Source: Workers KV, "How KV
/// works" and "Read key-value pairs", <c>cacheTtl</c>.
/// </summary>
/// <remarks>
/// <para>A read that finds nothing here, or nothing young enough, takes what has arrived in the region and keeps it for its
/// time. A later read with a shorter time shortens what is kept, never lengthens it. An entry whose own expiration has
/// passed is not served, however young the cache is. A write in the region drops what is kept of its key.</para>
/// <para>What has run out is remembered for a minute or two, so that the next read can say <c>EXPIRED</c>. What is kept is a
/// view on a record, not a copy.</para>
/// <para>Thread safety: all members, from any thread; one at a time. A read that fills the cache looks at the store under
/// the same lock under which a writer, after publishing, drops the key: so nothing older than an own write is kept.</para>
/// </remarks>
internal sealed class RegionCache(RegionView view, CoarseClock clock, ReplicationQueue queue, KvEdgeCacheOptions options, string name)
{
    /// <summary>How often a key must have been served from here to be refreshed ahead of time.</summary>
    private const int HotHits = 3;

    private static readonly long s_rememberedTicks = TimeSpan.FromMinutes(1).Ticks;

    private readonly Lock _gate = new();
    private readonly KeyTable<CachedKey> _keys = new();
    private readonly Queue<CachedKey> _oldestFirst = new();
    private readonly CachedListings _listings = new(options.EntriesMax);

    /// <summary>How many keys are kept or remembered.</summary>
    public int KeyCount
    {
        get
        {
            lock (_gate)
            {
                return _keys.Count;
            }
        }
    }

    /// <summary>Reads a key.</summary>
    public KvValue Get<TKey>(in TKey key, int? cacheTtlSeconds)
        where TKey : struct, IKey, allows ref struct
    {
        var ttlTicks = cacheTtlSeconds is { } seconds ? seconds * TimeSpan.TicksPerSecond : options.CacheTtl.Ticks;
        lock (_gate)
        {
            var nowTicks = queue.NowTicks;
            var cached = _keys.Find(key);
            var status = "MISS";
            if (cached is { IsKept: true })
            {
                cached.EndTicks = Math.Min(cached.EndTicks, cached.ReadTicks + ttlTicks);
                if (nowTicks < cached.EndTicks && !clock.HasPassed(cached.Deadline))
                {
                    return Serve(key, cached, nowTicks, ttlTicks);
                }

                status = "EXPIRED";
            }

            cached ??= Add(key);
            Fill(key, cached, nowTicks, ttlTicks);
            return ToValue(cached, status);
        }
    }

    /// <summary>What a read would be served from here, without being one: nothing is counted, filled or kept for longer.</summary>
    /// <returns>False when a read would not be served from here.</returns>
    public bool TryPeek<TKey>(in TKey key, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        lock (_gate)
        {
            if (_keys.Find(key) is { IsKept: true } cached && queue.NowTicks < cached.EndTicks && !clock.HasPassed(cached.Deadline))
            {
                value = ToValue(cached, "HIT");
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>Lists keys.</summary>
    public KvListPage List(byte[] prefix, byte[] after, int limit)
    {
        lock (_gate)
        {
            var nowTicks = queue.NowTicks;
            var page = _listings.Find(prefix, after, limit, nowTicks, clock.Now, out var status);
            if (page is null)
            {
                var arrived = view.ListArrived(prefix, after, limit);
                page = new KvListPage(arrived.Keys, arrived.Cursor, status);
                _listings.Keep(prefix, after, limit, page, nowTicks, nowTicks + options.CacheTtl.Ticks);
            }

            return page;
        }
    }

    /// <summary>Drops what is kept of a key, and the listings that it belongs to: it was written here.</summary>
    public void Drop<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Span<byte> utf8 = stackalloc byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        lock (_gate)
        {
            _keys.Find(key)?.Drop();
            _listings.Drop(utf8);
        }
    }

    /// <summary>Forgets what ran out a while ago.</summary>
    public void Prune()
    {
        lock (_gate)
        {
            var nowTicks = queue.NowTicks;
            for (var i = _oldestFirst.Count; i > 0; i--)
            {
                var cached = _oldestFirst.Dequeue();
                if (nowTicks - cached.EndTicks < s_rememberedTicks)
                {
                    _oldestFirst.Enqueue(cached);
                }
                else
                {
                    Remove(cached);
                }
            }

            _listings.Prune(nowTicks - s_rememberedTicks);
        }
    }

    private KvValue Serve<TKey>(in TKey key, CachedKey cached, long nowTicks, long ttlTicks)
        where TKey : struct, IKey, allows ref struct
    {
        cached.Hits++;
        ReportIfStale(key, cached, nowTicks);
        var served = ToValue(cached, "HIT");
        if (options.RefreshHotKeys && cached.Hits >= HotHits && (cached.EndTicks - nowTicks) * 4 <= cached.EndTicks - cached.ReadTicks)
        {
            Fill(key, cached, nowTicks, ttlTicks);
        }

        return served;
    }

    private void Fill<TKey>(in TKey key, CachedKey cached, long nowTicks, long ttlTicks)
        where TKey : struct, IKey, allows ref struct
    {
        var kept = view.TryFind(key, out var arrived) ? view.TryHold(key, arrived) : null;
        cached.Keep(kept ?? default, nowTicks, nowTicks + ttlTicks);
    }

    private CachedKey Add<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (_keys.Count >= options.EntriesMax)
        {
            Remove(_oldestFirst.Dequeue());
        }

        var utf8 = new byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        var cached = new CachedKey(utf8, key.Hash);
        _keys.Add(cached);
        _oldestFirst.Enqueue(cached);
        return cached;
    }

    private void Remove(CachedKey cached)
    {
        _keys.Remove(cached);
        cached.Drop();
    }

    private void ReportIfStale<TKey>(in TKey key, CachedKey cached, long nowTicks)
        where TKey : struct, IKey, allows ref struct
    {
        // Since when it is stale nobody has noted; not longer than it has been here.
        if (ReplicationFeed.IsStalenessObserved)
        {
            var isFound = view.TryFind(key, out var arrived);
            var isStale = isFound == cached.Record.IsNone || (isFound && arrived.Record.Revision != cached.Record.Revision);
            if (isStale)
            {
                ReplicationMetrics.RecordStaleness(name, view.Region.Name, nowTicks - cached.ReadTicks);
            }
        }
    }

    private KvValue ToValue(CachedKey cached, string status)
    {
        KvValue value = default;
        _ = !cached.Record.IsNone && view.TryView(cached.Record, out value);
        return value.WithCacheStatus(status);
    }

    /// <summary>A key as it was read.</summary>
    private sealed class CachedKey(byte[] key, ulong hash) : KeyedItem<CachedKey>(key, hash)
    {
        /// <summary>Whether something is kept; not, when the key was written here since it was read.</summary>
        public bool IsKept { get; private set; }

        /// <summary>What was read; none for no such key.</summary>
        public Record Record { get; private set; }

        /// <summary>Its value, when that is kept outside memory: held until something else is kept, or nothing.</summary>
        public KvLargeValue? Held { get; private set; }

        /// <summary>When it was read.</summary>
        public long ReadTicks { get; private set; }

        /// <summary>When it runs out.</summary>
        public long EndTicks { get; set; }

        /// <summary>How often it was served since.</summary>
        public int Hits { get; set; }

        /// <summary>When the entry itself expires.</summary>
        public Deadline Deadline => Record.IsNone ? default : Record.Deadline;

        public void Keep(in ArrivedRecord arrived, long readTicks, long endTicks)
        {
            Held?.Dispose();
            IsKept = true;
            Record = arrived.Record;
            Held = arrived.Held;
            ReadTicks = readTicks;
            EndTicks = endTicks;
            Hits = 0;
        }

        public void Drop()
        {
            IsKept = false;
            Record = default;
            Held?.Dispose();
            Held = null;
        }
    }
}
