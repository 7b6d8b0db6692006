using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Comparisons.Peers;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using ZiggyCreatures.Caching.Fusion;

namespace KvStore.Comparisons.Compare;

/// <summary>What does a HybridCache in a namespace cost, beside Microsoft's with the same type and options, and beside FusionCache?</summary>
internal static class HybridQuestions
{
    private const int HotKeys = 1000;
    private const int Accesses = 4096;
    private const int NewKeys = 20_000;
    private const int Callers = 1000;
    private const string Microsofts = "HybridCache of Microsoft";
    private const string Ours = "HybridCache of KvStore";
    private const string Fusions = "FusionCache";

    private static readonly FusionCacheEntryOptions s_fusion = new(TimeSpan.FromHours(1));
    private static readonly HybridCacheEntryOptions s_options = new() { Expiration = TimeSpan.FromHours(1) };

    public static IEnumerable<Question> All()
    {
        yield return new("hybrid/hit", session => Hit(session, isBusy: false));
        yield return new("hybrid/hit/busy", session => Hit(session, isBusy: true));
        yield return new("hybrid/hit/mutable", HitMutable);
        yield return new("hybrid/miss", Miss);
        yield return new("hybrid/stampede", Stampede);
    }

    // Of an immutable type. Busy: one write of another key for each pass over the keys, so that every object is compared with its entry again.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Hit(Session session, bool isBusy)
    {
        using var caches = new Caches();
        var keys = Workload.Uniform(HotKeys, Accesses);
        foreach (var key in keys)
        {
            _ = caches.Quote(caches.KvStore, key) + caches.Quote(caches.Microsoft, key) + caches.FusionQuote(key);
        }

        var about = isBusy ? "with one write of another key for 256 hits" : "an immutable type";
        new SideBySide($"hybrid/hit{(isBusy ? "/busy" : "")}: a value of {HotKeys:N0} hot keys, {about}; ratio to Microsoft's", session) { Baseline = Microsofts }.Run(
        [
            new(Microsofts, keys.Length, 1, range => Sum(keys.Part(range), caches.Microsoft)),
            new(Ours, keys.Length, 1, range => Sum(keys.Part(range), caches.KvStore)),
            new(Fusions, keys.Length, 1, range => SumFusion(keys.Part(range))),
        ]);

        int Sum(ReadOnlySpan<string> some, HybridCache cache)
        {
            if (isBusy)
            {
                Caches.Now(cache.SetAsync("another key", 1, s_options));
            }

            var sum = 0;
            foreach (var key in some)
            {
                sum += caches.Quote(cache, key);
            }

            return sum;
        }

        int SumFusion(ReadOnlySpan<string> some)
        {
            if (isBusy)
            {
                caches.Fusion.Set("another key", 1, s_fusion);
            }

            var sum = 0;
            foreach (var key in some)
            {
                sum += caches.FusionQuote(key);
            }

            return sum;
        }
    }

    // FusionCache returns one object to all callers, and is not compared here.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void HitMutable(Session session)
    {
        using var caches = new Caches();
        var keys = Workload.Uniform(HotKeys, Accesses);
        foreach (var key in keys)
        {
            _ = caches.Order(caches.KvStore, key) + caches.Order(caches.Microsoft, key);
        }

        // The lower bound of both caches: what the serializer takes to make the object, without finding its bytes.
        var type = (JsonTypeInfo<Order>)JsonSerializerOptions.Default.GetTypeInfo(typeof(Order));
        var payload = JsonSerializer.SerializeToUtf8Bytes(new Order { Product = "book", Cents = 7 }, type);
        new SideBySide($"hybrid/hit/mutable: an object of its own for each caller, from JSON; ratio to Microsoft's", session) { Baseline = Microsofts }.Run(
        [
            new(Microsofts, keys.Length, 1, range => Sum(keys.Part(range), caches.Microsoft)),
            new(Ours, keys.Length, 1, range => Sum(keys.Part(range), caches.KvStore)),
            new("deserialization alone", keys.Length, 1, range => SumDeserialized(keys.Part(range))),
        ]);

        int SumDeserialized(ReadOnlySpan<string> some)
        {
            var sum = 0;
            for (var i = 0; i < some.Length; i++)
            {
                sum += JsonSerializer.Deserialize(payload.AsSpan(), type)!.Cents;
            }

            return sum;
        }

        int Sum(ReadOnlySpan<string> some, HybridCache cache)
        {
            var sum = 0;
            foreach (var key in some)
            {
                sum += caches.Order(cache, key);
            }

            return sum;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Miss(Session session)
    {
        using var caches = new Caches();
        var next = 0;
        new SideBySide("hybrid/miss: a new key whose factory returns at once, an immutable type; ratio to Microsoft's", session)
        {
            Baseline = Microsofts,
            OperationsPerRound = NewKeys,
        }.Run(
        [
            new(Microsofts, NewKeys, 1, range => Sum(range, key => caches.Quote(caches.Microsoft, key))) { IsOnce = true },
            new(Ours, NewKeys, 1, range => Sum(range, key => caches.Quote(caches.KvStore, key))) { IsOnce = true },
            new(Fusions, NewKeys, 1, range => Sum(range, caches.FusionQuote)) { IsOnce = true },
        ]);

        int Sum(Range range, Func<string, int> get)
        {
            var sum = 0;
            for (var i = range.Start.Value; i < range.End.Value; i++)
            {
                sum += get($"a new key {next++:D10}");
            }

            return sum;
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Stampede(Session session)
    {
        using var caches = new Caches();
        var next = 0;
        new SideBySide($"hybrid/stampede: {Callers:N0} callers of a new key at once, per stampede; ratio to Microsoft's", session)
        {
            Baseline = Microsofts,
            OperationsPerRound = 20,
            StepsPerCallMax = 1,
            IsOnOtherThreads = true,
            Unit = "us/op",
            NanosecondsPerUnit = 1000,
        }.Run(
        [
            new(Microsofts, 20, 1, _ => Rush(key => Caches.SlowAsync(caches.Microsoft, key))) { IsOnce = true },
            new(Ours, 20, 1, _ => Rush(key => Caches.SlowAsync(caches.KvStore, key))) { IsOnce = true },
            new(Fusions, 20, 1, _ => Rush(caches.FusionSlowAsync)) { IsOnce = true },
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

    /// <summary>The caches, all in memory, with equal values.</summary>
    private sealed class Caches : IDisposable
    {
        private readonly ServiceProvider _microsofts = new ServiceCollection().AddHybridCache().Services.BuildServiceProvider();
        private readonly ServiceProvider _ours = new ServiceCollection().AddKvNamespace("COMPARED").AddKvHybridCache("COMPARED").BuildServiceProvider();

        public Caches()
        {
            Microsoft = _microsofts.GetRequiredService<HybridCache>();
            KvStore = _ours.GetRequiredService<HybridCache>();
        }

        public HybridCache Microsoft { get; }

        public HybridCache KvStore { get; }

        public FusionCache Fusion { get; } = new(new FusionCacheOptions());

        public int Quote(HybridCache cache, string key) =>
            Now(cache.GetOrCreateAsync(key, 7, static (cents, _) => new ValueTask<Quote>(new Quote("book", cents)), s_options)).Cents;

        public int Order(HybridCache cache, string key) =>
            Now(cache.GetOrCreateAsync(key, 7, static (cents, _) => new ValueTask<Order>(new Order { Product = "book", Cents = cents }), s_options)).Cents;

        public int FusionQuote(string key) => Now(Fusion.GetOrSetAsync<Quote>(key, static (_, _) => Task.FromResult(new Quote("book", 7)), s_fusion)).Cents;

        public static Task<Quote> SlowAsync(HybridCache cache, string key) =>
            cache.GetOrCreateAsync(key, 7, static async (cents, _) => await LoadAsync(cents), s_options).AsTask();

        public Task<Quote> FusionSlowAsync(string key) => Fusion.GetOrSetAsync<Quote>(key, static (_, _) => LoadAsync(7), s_fusion).AsTask();

        public void Dispose()
        {
            _microsofts.Dispose();
            _ours.Dispose();
            Fusion.Dispose();
        }

        // Hits complete at once, and so does all that a factory without a wait creates.
        public static T Now<T>(ValueTask<T> task) => task.IsCompletedSuccessfully ? task.Result : task.AsTask().GetAwaiter().GetResult();

        public static void Now(ValueTask task)
        {
            if (!task.IsCompletedSuccessfully)
            {
                task.AsTask().GetAwaiter().GetResult();
            }
        }

        private static async Task<Quote> LoadAsync(int cents)
        {
            await Task.Delay(1);
            return new Quote("book", cents);
        }
    }
}

/// <summary>A value that callers may change.</summary>
internal sealed class Order
{
    public string Product { get; set; } = "";

    public int Cents { get; set; }
}
