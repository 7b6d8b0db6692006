using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.Options;
using Npgsql;

namespace KvStore.Comparisons.Compare;

/// <summary>What do readers see, and when? Asked by <see cref="PostgreSqlQuestions"/>.</summary>
internal static class PostgreSqlReadQuestions
{
    private const int HotKeys = 10_000;
    private const int Accesses = 4096;

    private static readonly DistributedCacheEntryOptions s_absolute = new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(10) };

    /// <summary>From the end of a put to the moment when another namespace, with connections and memory of its own, shows it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Visible(Session session)
    {
        const string Bare = "NOTIFY to a connection that listens";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        var rounds = session.Options.Rounds;
        var (bare, notified, polled) = (new Sample[rounds], new Sample[rounds], new Sample[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            session.Progress.Show((double)round / rounds, $"round {round + 1}");
            bare[round] = BareAsync(database.ConnectionString, session.Options.IsShort ? 2 : 200).GetAwaiter().GetResult();
            notified[round] = VisibleAsync(database.ConnectionString, new KvPostgreSqlOptions(), session.Options.IsShort ? 2 : 200).GetAwaiter().GetResult();
            polled[round] = VisibleAsync(database.ConnectionString, new KvPostgreSqlOptions { UseNotifications = false }, session.Options.IsShort ? 2 : 20).GetAwaiter().GetResult();
        }

        PostgreSqlQuestions.Report(
            session,
            "postgresql/visible: from the end of a put until another namespace shows it to a watcher; each round is a median",
            "ms", 1_000_000, Bare, ("KvStore, notifications", notified), ("KvStore, asking every 250 ms", polled), (Bare, bare));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Read(Session session)
    {
        const string InMemory = "KvStore in memory";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        using var memory = KvNamespace.Create("BENCH_KV");
        var shared = KvPostgreSql.OpenAsync("BENCH_KV", database.ConnectionString).AsTask().GetAwaiter().GetResult();
        var entries = Enumerable.Range(0, HotKeys).Select(static i => new KvEntry(Workload.Key(i), Workload.Value(i))).ToArray();
        memory.PutManyAsync(entries).AsTask().GetAwaiter().GetResult();
        shared.PutManyAsync(entries).AsTask().GetAwaiter().GetResult();
        var access = Workload.Uniform(HotKeys, 500_000);
        new SideBySide($"postgresql/read: TryGet of {HotKeys:N0} keys, uniform; ratio to a namespace in memory", session) { Baseline = InMemory }.Run(
        [
            Reading(InMemory, memory),
            Reading("KvStore in PostgreSQL", shared),
        ]);
        shared.DisposeAsync().AsTask().GetAwaiter().GetResult();

        Contender Reading(string name, KvNamespace kv) => new(name, access.Length, 1, range => Sum(kv, access.Part(range)));
    }

    /// <summary>Two clients in turn, each with connections of its own, as two processes have them.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Cache(Session session)
    {
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        database.Execute(PostgreSqlCache.Table);
        using var caches = new Caches(database);
        var keys = Workload.Uniform(HotKeys, session.Options.IsShort ? 64 : Accesses);
        var value = Workload.Value(0);
        foreach (var cache in caches.All)
        {
            foreach (var key in session.Options.IsShort ? keys : Workload.Keys(HotKeys))
            {
                cache.Clients[0].Set(key, value, s_absolute);
            }
        }

        // What the first client has set is read from the second one as well.
        while (caches.All.Any(cache => cache.Clients[1].Get(keys[^1]) is null))
        {
            Thread.Sleep(10);
        }

        Ask("get", static (cache, key, _) => cache.Get(key)!.Length);
        Ask("set", static (cache, key, value) =>
        {
            cache.Set(key, value, s_absolute);
            return 1;
        });

        void Ask(string call, Func<IDistributedCache, string, byte[], int> work) => new SideBySide(
            $"postgresql/cache: IDistributedCache, {call} of one of {HotKeys:N0} entries of {value.Length} bytes from two clients in turn", session)
        {
            Baseline = "table in PostgreSQL",
            StepsPerCallMax = 16,
            Unit = "µs",
            NanosecondsPerUnit = 1000,
            Missing = RedisServer.MissingBecause is { } reason ? [new PeerSource("Redis", null, reason)] : [],
        }.Run([.. caches.All.Select(cache => new Contender(cache.Name, keys.Length, 1, range => Sum(cache.Clients, range, keys, value, work)) { IsSlow = true })]);
    }

    private static int Sum(IDistributedCache[] clients, Range range, string[] keys, byte[] value, Func<IDistributedCache, string, byte[], int> work)
    {
        var sum = 0;
        for (var i = range.Start.Value; i < range.End.Value; i++)
        {
            sum += work(clients[i % clients.Length], keys[i], value);
        }

        return sum;
    }

    private static int Sum(KvNamespace kv, ReadOnlySpan<string> keys)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += kv.TryGet(key, out var value) ? value.Length : 0;
        }

        return sum;
    }

    private static async Task<Sample> BareAsync(string connectionString, int count)
    {
        await using var listening = new NpgsqlConnection(connectionString);
        await using var notifying = new NpgsqlConnection(connectionString);
        await listening.OpenAsync();
        await notifying.OpenAsync();
        await using (var listen = new NpgsqlCommand("LISTEN bare", listening))
        {
            await listen.ExecuteNonQueryAsync();
        }

        await using var notify = new NpgsqlCommand("NOTIFY bare", notifying);
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            var shown = Task.Run(async () =>
            {
                await listening.WaitAsync();
                return Stopwatch.GetTimestamp();
            });
            await Task.Delay(2);
            var sent = Stopwatch.GetTimestamp();
            await notify.ExecuteNonQueryAsync();
            times[i] = Stopwatch.GetElapsedTime(sent, await shown).TotalNanoseconds;
        }

        return new Sample(ResultTable.Median(times), 0);
    }

    private static async Task<Sample> VisibleAsync(string connectionString, KvPostgreSqlOptions options, int count)
    {
        await using var writer = await KvPostgreSql.OpenAsync("BENCH_KV", connectionString, options);
        await using var reader = await KvPostgreSql.OpenAsync("BENCH_KV", connectionString, options);
        using var stop = new CancellationTokenSource();
        var changes = reader.WatchAsync(new KvWatchOptions(), stop.Token).GetAsyncEnumerator();
        var times = new double[count];
        var next = changes.MoveNextAsync().AsTask();
        for (var i = 0; i < count; i++)
        {
            // At another moment of the reader's interval each time.
            await Task.Delay(1 + (i * 37 % 40));
            var shown = next.ContinueWith(static _ => Stopwatch.GetTimestamp(), TaskScheduler.Default);
            await writer.PutAsync("key", Workload.Value(i));
            var committed = Stopwatch.GetTimestamp();
            times[i] = Math.Max(0, (await shown - committed) * (1e9 / Stopwatch.Frequency));
            await next;
            next = changes.MoveNextAsync().AsTask();
        }

        await stop.CancelAsync();
        await next.ContinueWith(static _ => { }, TaskScheduler.Default);
        await changes.DisposeAsync();
        return new Sample(ResultTable.Median(times), 0);
    }

    private sealed record NamedCache(string Name, IDistributedCache[] Clients);

    /// <summary>The caches that run on this machine, each with two clients.</summary>
    private sealed class Caches : IDisposable
    {
        private readonly RedisServer? _redis = RedisServer.Start();
        private readonly List<IDisposable> _owned = [];

        public Caches(PostgreSqlServer.Database database)
        {
            All =
            [
                new("KvStore in PostgreSQL", Two(() => InNamespace(database.ConnectionString))),
                new("table in PostgreSQL", Two<IDistributedCache>(() => new PostgreSqlCache(Owned(NpgsqlDataSource.Create(database.ConnectionString))))),
            ];
            if (_redis is not null)
            {
                All = [.. All, new("Redis", Two(() => Owned(new RedisCache(Options.Create(new RedisCacheOptions { Configuration = $"127.0.0.1:{_redis.Port}" })))))];
            }
        }

        public IReadOnlyList<NamedCache> All { get; }

        public void Dispose()
        {
            for (var i = _owned.Count - 1; i >= 0; i--)
            {
                _owned[i].Dispose();
            }

            _redis?.Dispose();
        }

        private static IDistributedCache[] Two<T>(Func<T> create)
            where T : IDistributedCache => [create(), create()];

        private KvDistributedCache InNamespace(string connectionString)
        {
            var kv = Owned(KvPostgreSql.OpenAsync("COMPARED", connectionString).AsTask().GetAwaiter().GetResult());
            return Owned(new KvDistributedCache(
                kv, new KvAdapter { Name = "distributed_cache", Namespace = "COMPARED", Prefix = KvDistributedCacheOptions.DefaultPrefix, RegisteredBy = "the benchmark" }));
        }

        private T Owned<T>(T cache)
            where T : IDisposable
        {
            _owned.Add(cache);
            return cache;
        }
    }
}
