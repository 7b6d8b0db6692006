using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Replication;

/// <summary>
/// The results of reads that a region serves again: entries, the absence of keys, and pages of lists. Source: Workers KV, "How KV
/// works" and "Read key-value pairs", <c>cacheTtl</c>.
/// </summary>
/// <remarks>
/// <para>A read that finds nothing in the cache, or nothing young enough, reads the record that the region shows, and caches it for
/// the read's time to live. A later read with a shorter time shortens the time of the entry, and never lengthens it. An entry whose
/// own expiration has passed is not served. A write in the region removes its key from the cache.</para>
/// <para>An entry that has run out is remembered for one to two minutes, so that the next read can report <c>EXPIRED</c>. An entry
/// is a view of a record, not a copy.</para>
/// <para>Thread safety: all members, from any thread, one at a time. A read fills the cache under the lock under which a writer,
/// after the publication, removes the key. So nothing older than a write of this region stays in the cache.</para>
/// </remarks>
internal sealed class RegionCache(
    Region region, VisibleRecords records, CoarseClock clock, TimeProvider timeProvider, KvEdgeCacheOptions options, ReplicationEvents events)
{
    /// <summary>How often a key must have been served from the cache to be refreshed ahead of time.</summary>
    private const int HotHits = 3;

    private static readonly long s_rememberedTicks = TimeSpan.FromMinutes(1).Ticks;

    private readonly Lock _lock = new();
    private readonly KeyTable<CachedKey> _keys = new();
    private readonly Queue<CachedKey> _oldestFirst = new();
    private readonly CachedPages _pages = new(options.EntriesMax);

    private long NowTicks => timeProvider.GetUtcNow().UtcTicks;

    /// <summary>Reads a key.</summary>
    public KvValue Get<TKey>(in TKey key, int? cacheTtlSeconds)
        where TKey : struct, IKey, allows ref struct
    {
        var ttlTicks = cacheTtlSeconds is { } seconds ? seconds * TimeSpan.TicksPerSecond : options.CacheTtl.Ticks;
        lock (_lock)
        {
            var nowTicks = NowTicks;
            var cached = _keys.Find(key);
            var status = "MISS";
            if (cached is { IsFilled: true })
            {
                cached.EndTicks = Math.Min(cached.EndTicks, cached.ReadTicks + ttlTicks);
                if (nowTicks < cached.EndTicks && !clock.HasPassed(cached.Deadline))
                {
                    return ServeHoldingLock(key, cached, nowTicks, ttlTicks);
                }

                status = "EXPIRED";
            }

            cached ??= AddHoldingLock(key);
            FillHoldingLock(key, cached, nowTicks, ttlTicks);
            return ToValue(cached, status);
        }
    }

    /// <summary>Returns what a read would be served from the cache, without the effects of a read: no count, no refresh, no other time.</summary>
    /// <returns>False when a read would not be served from the cache.</returns>
    public bool TryPeek<TKey>(in TKey key, out KvValue value)
        where TKey : struct, IKey, allows ref struct
    {
        lock (_lock)
        {
            if (_keys.Find(key) is { IsFilled: true } cached && NowTicks < cached.EndTicks && !clock.HasPassed(cached.Deadline))
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
        lock (_lock)
        {
            var nowTicks = NowTicks;
            var page = _pages.Find(prefix, after, limit, nowTicks, clock.Now, out var status);
            if (page is null)
            {
                var visible = records.List(prefix, after, limit);
                page = new KvListPage(visible.Keys, visible.Cursor, status);
                _pages.Add(prefix, after, limit, page, nowTicks + options.CacheTtl.Ticks);
            }

            return page;
        }
    }

    /// <summary>Removes a key that was written in this region, and the pages that it belongs to. Cannot fail for lack of memory.</summary>
    public void Drop<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Span<byte> utf8 = stackalloc byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        lock (_lock)
        {
            _keys.Find(key)?.Clear();
            _pages.Drop(utf8);
        }
    }

    /// <summary>Forgets the entries and pages that ran out at least a minute ago.</summary>
    public void Prune()
    {
        lock (_lock)
        {
            var nowTicks = NowTicks;
            for (var i = _oldestFirst.Count; i > 0; i--)
            {
                var cached = _oldestFirst.Dequeue();
                if (nowTicks - cached.EndTicks < s_rememberedTicks)
                {
                    _oldestFirst.Enqueue(cached);
                }
                else
                {
                    RemoveHoldingLock(cached);
                }
            }

            _pages.Prune(nowTicks - s_rememberedTicks);
        }
    }

    private KvValue ServeHoldingLock<TKey>(in TKey key, CachedKey cached, long nowTicks, long ttlTicks)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        cached.Hits++;
        ReportIfStale(key, cached, nowTicks);
        var served = ToValue(cached, "HIT");
        if (options.RefreshHotKeys && cached.Hits >= HotHits && (cached.EndTicks - nowTicks) * 4 <= cached.EndTicks - cached.ReadTicks)
        {
            FillHoldingLock(key, cached, nowTicks, ttlTicks);
        }

        return served;
    }

    private void FillHoldingLock<TKey>(in TKey key, CachedKey cached, long nowTicks, long ttlTicks)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var leased = records.TryFind(key, out var visible) ? records.TryLease(key, visible) : null;
        cached.Fill(leased ?? default, nowTicks, nowTicks + ttlTicks);
    }

    private CachedKey AddHoldingLock<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        AllocationProbe.Before();
        var utf8 = new byte[key.Utf8Bytes];
        key.CopyTo(utf8);
        var cached = new CachedKey(utf8, key.Hash);
        AllocationProbe.Before();
        _oldestFirst.EnsureCapacity(_oldestFirst.Count + 1);
        if (_keys.Count >= options.EntriesMax)
        {
            RemoveHoldingLock(_oldestFirst.Dequeue());
        }

        AllocationProbe.Before();
        _keys.Add(cached);
        _oldestFirst.Enqueue(cached);
        Debug.Assert(_keys.Count == _oldestFirst.Count, "Each key is in the queue once.");
        return cached;
    }

    private void RemoveHoldingLock(CachedKey cached)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        _keys.Remove(cached);
        cached.Clear();
    }

    private void ReportIfStale<TKey>(in TKey key, CachedKey cached, long nowTicks)
        where TKey : struct, IKey, allows ref struct
    {
        // The time at which the entry became stale is not known. It is at most as old as the entry.
        if (ReplicationEvents.IsStalenessObserved)
        {
            var isFound = records.TryFind(key, out var visible);
            var isStale = isFound == cached.Record.IsNone || (isFound && visible.Record.Revision != cached.Record.Revision);
            if (isStale)
            {
                events.ReportStaleRead(region, nowTicks - cached.ReadTicks);
            }
        }
    }

    private KvValue ToValue(CachedKey cached, string status)
    {
        KvValue value = default;
        _ = !cached.Record.IsNone && records.TryView(cached.Record, out value);
        return value.WithCacheStatus(status);
    }

    /// <summary>The result of a read of one key.</summary>
    private sealed class CachedKey(byte[] key, ulong hash) : KeyedItem<CachedKey>(key, hash)
    {
        private KvLargeValue? _lease;

        /// <summary>Whether there is a result. False after the key was written in this region.</summary>
        public bool IsFilled { get; private set; }

        /// <summary>The record; none when the key had no value.</summary>
        public Record Record { get; private set; }

        /// <summary>When the key was read.</summary>
        public long ReadTicks { get; private set; }

        /// <summary>When the result runs out.</summary>
        public long EndTicks { get; set; }

        /// <summary>How often the result was served.</summary>
        public int Hits { get; set; }

        /// <summary>When the entry itself expires.</summary>
        public Deadline Deadline => Record.IsNone ? default : Record.Deadline;

        public void Fill(in VisibleRecord visible, long readTicks, long endTicks)
        {
            _lease?.Dispose();
            IsFilled = true;
            Record = visible.Record;
            _lease = visible.Lease;
            ReadTicks = readTicks;
            EndTicks = endTicks;
            Hits = 0;
        }

        public void Clear()
        {
            IsFilled = false;
            Record = default;
            _lease?.Dispose();
            _lease = null;
        }
    }

    /// <summary>The pages that a region has listed and serves again.</summary>
    /// <remarks>Thread safety: none; it is used under the lock of the cache.</remarks>
    private sealed class CachedPages(int pagesMax)
    {
        private readonly Dictionary<Request, CachedPage> _pages = [];
        private readonly Queue<Request> _oldestFirst = new();

        /// <summary>Finds a page that has not run out, without the keys that have expired since.</summary>
        public KvListPage? Find(byte[] prefix, byte[] after, int limit, long nowTicks, DateTimeOffset now, out string status)
        {
            status = "MISS";
            if (!_pages.TryGetValue(RequestOf(prefix, after, limit), out var cached))
            {
                return null;
            }

            if (nowTicks >= cached.EndTicks)
            {
                status = "EXPIRED";
                return null;
            }

            status = "HIT";
            var alive = cached.Page.Keys.Where(key => !key.Deadline.HasPassedAt(now));
            return new KvListPage([.. alive], cached.Page.Cursor, status);
        }

        /// <summary>Caches a page.</summary>
        public void Add(byte[] prefix, byte[] after, int limit, KvListPage page, long endTicks)
        {
            AllocationProbe.Before();
            var request = RequestOf(prefix, after, limit);
            var cached = new CachedPage(page, prefix, endTicks);
            if (_pages.ContainsKey(request))
            {
                _pages[request] = cached;
                return;
            }

            if (_pages.Count >= pagesMax)
            {
                _pages.Remove(_oldestFirst.Dequeue());
            }

            AllocationProbe.Before();
            _oldestFirst.EnsureCapacity(_oldestFirst.Count + 1);
            AllocationProbe.Before();
            _pages.Add(request, cached);
            _oldestFirst.Enqueue(request);
            Debug.Assert(_pages.Count == _oldestFirst.Count, "Each page is in the queue once.");
        }

        /// <summary>Removes the pages that a key belongs to, or would belong to.</summary>
        public void Drop(ReadOnlySpan<byte> key)
        {
            for (var i = _oldestFirst.Count; i > 0; i--)
            {
                var request = _oldestFirst.Dequeue();
                KeepOrRemove(request, isKept: !key.StartsWith(_pages[request].Prefix));
            }
        }

        /// <summary>Removes the pages that ran out at a time or before.</summary>
        public void Prune(long endedTicks)
        {
            for (var i = _oldestFirst.Count; i > 0; i--)
            {
                var request = _oldestFirst.Dequeue();
                KeepOrRemove(request, isKept: _pages[request].EndTicks > endedTicks);
            }
        }

        private static Request RequestOf(byte[] prefix, byte[] after, int limit) =>
            new(Convert.ToBase64String(prefix), Convert.ToBase64String(after), limit);

        // The request was just taken from the queue, so the queue has room for it.
        private void KeepOrRemove(Request request, bool isKept)
        {
            if (isKept)
            {
                _oldestFirst.Enqueue(request);
            }
            else
            {
                _pages.Remove(request);
            }
        }

        private readonly record struct Request(string Prefix, string After, int Limit);

        private sealed record CachedPage(KvListPage Page, byte[] Prefix, long EndTicks);
    }
}
