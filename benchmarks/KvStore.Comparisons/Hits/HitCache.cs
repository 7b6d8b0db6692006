using BitFaster.Caching.Lfu;
using BitFaster.Caching.Lru;
using BitFaster.Caching.Scheduler;
using Microsoft.Extensions.Caching.Memory;
using ZiggyCreatures.Caching.Fusion;

namespace KvStore.Comparisons.Hits;

/// <summary>A cache that is asked for one key after the other, and given what it does not have.</summary>
internal abstract class HitCache : IDisposable
{
    /// <summary>All entries have a value of this length.</summary>
    public const int ValueBytes = 600;

    private static readonly byte[] s_value = new byte[ValueBytes];

    protected static byte[] Value => s_value;

    /// <summary>The caches that are compared, for so many entries.</summary>
    public static IReadOnlyList<(string Name, Func<int, HitCache> Create)> Peers { get; } =
    [
        ("MemoryCache", static entries => new OfMemoryCache(entries)),
        ("FusionCache", static entries => new OfFusionCache(entries)),
        ("BitFaster ConcurrentLru", static entries => new OfConcurrentLru(entries)),
        ("BitFaster ConcurrentLfu", static entries => new OfConcurrentLfu(entries)),
    ];

    /// <summary>Reads a key, and puts it if it is not there.</summary>
    /// <returns>Whether it was there.</returns>
    public abstract bool TryGetOrPut(int key);

    public virtual void Dispose()
    {
    }

    private sealed class OfMemoryCache(int entries) : HitCache
    {
        private readonly MemoryCache _cache = new(new MemoryCacheOptions { SizeLimit = entries });

        public override bool TryGetOrPut(int key)
        {
            if (_cache.TryGetValue(key, out _))
            {
                return true;
            }

            _cache.Set(key, Value, new MemoryCacheEntryOptions { Size = 1 });
            return false;
        }

        public override void Dispose()
        {
            _cache.Dispose();
            base.Dispose();
        }
    }

    private sealed class OfFusionCache : HitCache
    {
        private readonly MemoryCache _memory;
        private readonly FusionCache _cache;
        private readonly FusionCacheEntryOptions _options = new() { Size = 1, Duration = TimeSpan.FromDays(1) };

        public OfFusionCache(int entries)
        {
            _memory = new MemoryCache(new MemoryCacheOptions { SizeLimit = entries });
            _cache = new FusionCache(new FusionCacheOptions(), _memory);
        }

        public override bool TryGetOrPut(int key)
        {
            var name = Workload.Key(key);
            if (_cache.TryGet<byte[]>(name, _options).HasValue)
            {
                return true;
            }

            _cache.Set(name, Value, _options);
            return false;
        }

        public override void Dispose()
        {
            _cache.Dispose();
            _memory.Dispose();
            base.Dispose();
        }
    }

    private sealed class OfConcurrentLru(int entries) : HitCache
    {
        private readonly ConcurrentLru<int, byte[]> _cache = new(1, entries, EqualityComparer<int>.Default);

        public override bool TryGetOrPut(int key)
        {
            if (_cache.TryGet(key, out _))
            {
                return true;
            }

            _cache.AddOrUpdate(key, Value);
            return false;
        }
    }

    private sealed class OfConcurrentLfu(int entries) : HitCache
    {
        private readonly ConcurrentLfu<int, byte[]> _cache = new(1, entries, new ForegroundScheduler(), EqualityComparer<int>.Default);

        public override bool TryGetOrPut(int key)
        {
            if (_cache.TryGet(key, out _))
            {
                return true;
            }

            _cache.AddOrUpdate(key, Value);
            return false;
        }
    }
}

/// <summary>A namespace with a budget.</summary>
internal sealed class KvStoreHits(long budget) : HitCache
{
    private readonly KvNamespace _kv = KvNamespace.Create(
        "BENCH_KV", new KvNamespaceOptions { Memory = new KvMemoryOptions { BytesMax = budget, WhenFull = KvMemoryPolicy.Evict } });

    /// <summary>How many entries it has.</summary>
    public long Count => _kv.Count;

    public override bool TryGetOrPut(int key)
    {
        var name = Workload.Key(key);
        if (_kv.TryGet(name, out _))
        {
            return true;
        }

        // In memory a put completes in the call.
        _kv.PutAsync(name, Value).AsTask().GetAwaiter().GetResult();
        return false;
    }

    public override void Dispose()
    {
        _kv.Dispose();
        base.Dispose();
    }
}
