using System.Buffers;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.Options;
using NeoSmart.Caching.Sqlite;

namespace KvStore.Comparisons.Compare;

/// <summary>How long does a get or a set of an <see cref="IDistributedCache"/> take? One caller, one call at a time.</summary>
internal static class DistributedQuestions
{
    private const int HotKeys = 10_000;
    private const int Accesses = 4096;
    private const string Baseline = "MemoryDistributedCache";

    private static readonly DistributedCacheEntryOptions s_absolute = new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(10) };
    private static readonly DistributedCacheEntryOptions s_sliding = new() { SlidingExpiration = TimeSpan.FromHours(10) };

    public static IEnumerable<Question> All()
    {
        yield return new("distributed/get", session => Get(session, "distributed/get", "with an absolute expiration", s_absolute));
        yield return new("distributed/sliding", session => Get(session, "distributed/sliding", "that slides", s_sliding));
        yield return new("distributed/set", Set);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Get(Session session, string name, string kind, DistributedCacheEntryOptions options)
    {
        using var caches = new Caches();
        var keys = Workload.Uniform(HotKeys, Accesses);
        foreach (var cache in caches.All)
        {
            foreach (var key in Workload.Keys(HotKeys))
            {
                cache.Cache.Set(key, Workload.Value(0), options);
            }
        }

        var buffer = new ArrayBufferWriter<byte>(1024);
        Run(session, $"{name}: one of {HotKeys:N0} entries {kind}; ratio to {Baseline}", [
            .. caches.All.Select(cache => ContenderOf(cache, keys, key => cache.Cache.Get(key)!.Length)),
            ContenderOf(caches.InMemory with { Name = "KvStore into a buffer" }, keys, key =>
            {
                buffer.ResetWrittenCount();
                return ((IBufferDistributedCache)caches.InMemory.Cache).TryGet(key, buffer) ? buffer.WrittenCount : throw new InvalidOperationException("The entry is there.");
            }),
        ]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Set(Session session)
    {
        using var caches = new Caches();
        var keys = Workload.Uniform(HotKeys, Accesses);
        var value = Workload.Value(0);
        Run(session, $"distributed/set: one of {HotKeys:N0} entries of {value.Length} bytes with an absolute expiration; ratio to {Baseline}", [
            .. caches.All.Select(cache => ContenderOf(cache, keys, key =>
            {
                cache.Cache.Set(key, value, s_absolute);
                return 1;
            })),
        ]);
    }

    private static void Run(Session session, string title, Contender[] contenders) =>
        new SideBySide(title, session)
        {
            Baseline = Baseline,
            Missing = RedisServer.MissingBecause is { } reason ? [new PeerSource("Redis", null, reason)] : [],
        }.Run(contenders);

    // A cache in another process, or in a database, has fewer calls a round: they take long enough.
    private static Contender ContenderOf(NamedCache cache, string[] keys, Func<string, int> call) =>
        new(cache.Name, keys.Length, 1, range => Sum(keys.Part(range), call)) { IsSlow = cache.IsSlow };

    private static int Sum(ReadOnlySpan<string> keys, Func<string, int> call)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += call(key);
        }

        return sum;
    }

    private sealed record NamedCache(string Name, IDistributedCache Cache, bool IsSlow = false);

    /// <summary>The caches that run on this machine.</summary>
    private sealed class Caches : IDisposable
    {
        private readonly ScratchDirectory _directory = new();
        private readonly RedisServer? _redis = RedisServer.Start();
        private readonly OwnedCaches _owned = new();

        public Caches()
        {
            InMemory = new("KvStore in memory", InNamespace(persistence: null));
            All =
            [
                new(Baseline, new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions { SizeLimit = null }))),
                InMemory,
                new("KvStore on a disk, Interval", InNamespace(new FilePersistence(
                    Path.Combine(_directory.Path, "kv"), new FilePersistenceOptions { Durability = Durability.Interval }))),
                new("NeoSmart SQLite", _owned.Add(new SqliteCache(new SqliteCacheOptions { CachePath = Path.Combine(_directory.Path, "cache.db") })), IsSlow: true),
            ];
            if (_redis is not null)
            {
                All = [.. All, new("Redis", _owned.Add(new RedisCache(Options.Create(new RedisCacheOptions { Configuration = $"127.0.0.1:{_redis.Port}" }))), IsSlow: true)];
            }
        }

        public NamedCache InMemory { get; }

        public IReadOnlyList<NamedCache> All { get; }

        public void Dispose()
        {
            _owned.Dispose();
            _redis?.Dispose();
            _directory.Dispose();
        }

        private IBufferDistributedCache InNamespace(FilePersistence? persistence) => _owned.AddOver(
            KvNamespace.OpenAsync(OwnedCaches.Namespace, new KvNamespaceOptions { Persistence = persistence }).AsTask().GetAwaiter().GetResult());
    }
}
