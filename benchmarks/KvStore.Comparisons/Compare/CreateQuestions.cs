using System.ComponentModel;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using ZiggyCreatures.Caching.Fusion;

namespace KvStore.Comparisons.Compare;

/// <summary>How long does it take to read a value that is created where it is missing?</summary>
internal static class CreateQuestions
{
    private const int HotKeys = 1000;
    private const int Accesses = 4096;
    private const int NewKeys = 20_000;
    private const int Callers = 1000;
    private const string GetJson = "KvStore GetJsonAsync";

    private static readonly KvGetOrCreateOptions s_stale = new()
    {
        ExpirationTtl = TimeSpan.FromHours(1),
        StaleFor = TimeSpan.FromMinutes(10),
        EagerRefresh = 0.8,
    };

    private static readonly FusionCacheEntryOptions s_fusion = new(TimeSpan.FromHours(1));

    public static IEnumerable<Question> All()
    {
        yield return new("create/hit", Hit);
        yield return new("create/miss", Miss);
        yield return new("create/stampede", Stampede);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Hit(Session session)
    {
        using var caches = new Caches();
        var keys = Workload.Uniform(HotKeys, Accesses);
        foreach (var key in keys)
        {
            _ = caches.KvStore(key) + caches.Hybrid(key) + caches.Fusion(key);
        }

        new SideBySide($"create/hit: a value of {HotKeys:N0} hot keys that is there; ratio to GetJsonAsync", session) { Baseline = GetJson }.Run(
        [
            new(GetJson, keys.Length, 1, range => Sum(keys.Part(range), caches.KvStoreGet)),
            new("KvStore GetOrCreateAsync", keys.Length, 1, range => Sum(keys.Part(range), caches.KvStore)),
            new("KvStore GetOrCreateAsync, stale and eager", keys.Length, 1, range => Sum(keys.Part(range), caches.KvStoreStale)),
            new("HybridCache", keys.Length, 1, range => Sum(keys.Part(range), caches.Hybrid)),
            new("FusionCache", keys.Length, 1, range => Sum(keys.Part(range), caches.Fusion)),
        ]);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Miss(Session session)
    {
        using var caches = new Caches();
        var next = 0;
        new SideBySide($"create/miss: a new key whose factory returns at once; ratio to KvStore", session)
        {
            Baseline = "KvStore GetOrCreateAsync",
            OperationsPerRound = NewKeys,
        }.Run(
        [
            new("KvStore GetOrCreateAsync", NewKeys, 1, range => Sum(New(range), caches.KvStoreStale)) { IsOnce = true },
            new("HybridCache", NewKeys, 1, range => Sum(New(range), caches.Hybrid)) { IsOnce = true },
            new("FusionCache", NewKeys, 1, range => Sum(New(range), caches.Fusion)) { IsOnce = true },
        ]);

        string[] New(Range range)
        {
            var keys = new string[range.End.Value - range.Start.Value];
            foreach (ref var key in keys.AsSpan())
            {
                key = $"a new key {next++:D10}";
            }

            return keys;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Stampede(Session session)
    {
        using var caches = new Caches();
        var next = 0;
        new SideBySide($"create/stampede: {Callers:N0} callers of a new key at once, per stampede; ratio to KvStore", session)
        {
            Baseline = "KvStore GetOrCreateAsync",
            OperationsPerRound = 20,
            StepsPerCallMax = 1,
            IsOnOtherThreads = true,
            Unit = "us/op",
            NanosecondsPerUnit = 1000,
        }.Run(
        [
            new("KvStore GetOrCreateAsync", 20, 1, _ => Rush(key => caches.KvStoreAsync(key).AsTask())) { IsOnce = true },
            new("HybridCache", 20, 1, _ => Rush(key => caches.HybridAsync(key).AsTask())) { IsOnce = true },
            new("FusionCache", 20, 1, _ => Rush(key => caches.FusionAsync(key).AsTask())) { IsOnce = true },
        ]);

        int Rush(Func<string, Task<Quote>> get)
        {
            var key = $"a stampede {next++:D10}";
            var callers = new Task<Quote>[Callers];
            for (var i = 0; i < callers.Length; i++)
            {
                callers[i] = Task.Run(() => get(key));
            }

            return Task.WhenAll(callers).GetAwaiter().GetResult().Length;
        }
    }

    private static int Sum(ReadOnlySpan<string> keys, Func<string, int> get)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += get(key);
        }

        return sum;
    }

    /// <summary>The caches, all in memory, with equal values.</summary>
    private sealed class Caches : IDisposable
    {
        private readonly KvNamespace _kv = KvNamespace.Create("COMPARED");
        private readonly ServiceProvider _services;
        private readonly HybridCache _hybrid;
        private readonly FusionCache _fusion = new(new FusionCacheOptions());

        public Caches()
        {
            var services = new ServiceCollection();
            services.AddHybridCache();
            _services = services.BuildServiceProvider();
            _hybrid = _services.GetRequiredService<HybridCache>();
        }

        public int KvStoreGet(string key) => Now(_kv.GetJsonAsync<Quote>(key))!.Cents;

        public int KvStore(string key) => Now(_kv.GetOrCreateAsync(key, 7, static (cents, _) => new ValueTask<Quote>(new Quote("book", cents)))).Cents;

        public int KvStoreStale(string key) =>
            Now(_kv.GetOrCreateAsync(key, 7, static (cents, _) => new ValueTask<Quote>(new Quote("book", cents)), s_stale)).Cents;

        public int Hybrid(string key) => Now(_hybrid.GetOrCreateAsync(key, 7, static (cents, _) => new ValueTask<Quote>(new Quote("book", cents)))).Cents;

        public int Fusion(string key) => Now(_fusion.GetOrSetAsync<Quote>(key, static (_, _) => Task.FromResult(new Quote("book", 7)), s_fusion)).Cents;

        public ValueTask<Quote> KvStoreAsync(string key) => _kv.GetOrCreateAsync(key, 7, static async (cents, _) => await SlowAsync(cents));

        public ValueTask<Quote> HybridAsync(string key) => _hybrid.GetOrCreateAsync(key, 7, static async (cents, _) => await SlowAsync(cents));

        public ValueTask<Quote> FusionAsync(string key) => _fusion.GetOrSetAsync<Quote>(key, static (_, _) => SlowAsync(7), s_fusion);

        public void Dispose()
        {
            _kv.Dispose();
            _fusion.Dispose();
            _services.Dispose();
        }

        private static async Task<Quote> SlowAsync(int cents)
        {
            await Task.Delay(1);
            return new Quote("book", cents);
        }

        // Hits complete at once, and so does all that a factory without a wait creates.
        private static T Now<T>(ValueTask<T> task) => task.IsCompletedSuccessfully ? task.Result : task.AsTask().GetAwaiter().GetResult();
    }
}

/// <summary>The value of a cache. Nobody can change it, so every cache may return one object to all.</summary>
[ImmutableObject(true)]
internal sealed record Quote(string Product, int Cents);
