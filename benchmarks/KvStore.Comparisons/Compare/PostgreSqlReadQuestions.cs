using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;
using Npgsql;
using static System.FormattableString;

namespace KvStore.Comparisons.Compare;

/// <summary>What do readers see, and when? Asked by <see cref="PostgreSqlQuestions"/>.</summary>
internal static class PostgreSqlReadQuestions
{
    private const int HotKeys = 10_000;
    private const int PollMilliseconds = 250;
    private const int CacheRoundMilliseconds = 400;

    /// <summary>From the end of a put in this process to the moment when another process shows it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Visible(Session session)
    {
        const string Bare = "NOTIFY, from the call on";
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        var rounds = session.Options.Rounds;
        var (bare, notified, polled) = (new Sample[rounds], new Sample[rounds], new Sample[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            session.Progress.Show((double)round / rounds, $"round {round + 1}");
            bare[round] = BareAsync(database.ConnectionString, session.Options.IsShort ? 2 : 100).GetAwaiter().GetResult();
            notified[round] = VisibleAsync(database.ConnectionString, usesNotifications: true, session.Options.IsShort ? 2 : 100).GetAwaiter().GetResult();
            polled[round] = VisibleAsync(database.ConnectionString, usesNotifications: false, session.Options.IsShort ? 2 : 20).GetAwaiter().GetResult();
        }

        PostgreSqlQuestions.Report(
            session,
            "postgresql/visible: from the end of a put until another process shows it to a watcher; each round is a median",
            "ms", 1_000_000, Bare, ("KvStore, notifications", notified), (Invariant($"KvStore, asking every {PollMilliseconds} ms"), polled), (Bare, bare));
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

    /// <summary>Two processes at the same time, each with one caller.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Cache(Session session)
    {
        using var database = PostgreSqlServer.Shared.CreateDatabase();
        database.Execute(PostgreSqlCache.Table);
        using var redis = RedisServer.Start();
        var caches = new List<(string Name, string Address)> { (CacheClient.KvStore, database.ConnectionString), (CacheClient.Table, database.ConnectionString) };
        if (redis is not null)
        {
            caches.Add((CacheClient.Redis, Invariant($"127.0.0.1:{redis.Port}")));
        }

        var (get, set) = (caches.ConvertAll(_ => new Sample[session.Options.Rounds]), caches.ConvertAll(_ => new Sample[session.Options.Rounds]));
        for (var i = 0; i < caches.Count; i++)
        {
            using var client = new CacheClient(caches[i].Name, caches[i].Address);
            client.Fill();
            using var other = SecondProcess.Start(SecondProcessCommand.Cache, caches[i].Name, caches[i].Address);

            // The first rounds are not counted: code is compiled in both processes.
            for (var round = session.Options.IsShort ? 0 : -2; round < session.Options.Rounds; round++)
            {
                session.Progress.Show((i + (Math.Max(0.0, round) / session.Options.Rounds)) / caches.Count, $"{caches[i].Name}, round {round + 1}");
                var (getting, setting) = (Both(client, other, CacheClient.Get, session), Both(client, other, CacheClient.Set, session));
                if (round >= 0)
                {
                    (get[i][round], set[i][round]) = (getting, setting);
                }
            }
        }

        foreach (var (call, samples) in new[] { (CacheClient.Get, get), (CacheClient.Set, set) })
        {
            var rows = caches.Select((cache, i) => (cache.Name, samples[i])).ToArray();
            var title = Invariant($"postgresql/cache: IDistributedCache, {call} of one of {CacheClient.Keys:N0} entries of {Workload.ValueBytes} bytes by two processes at once");
            PostgreSqlQuestions.Report(
                session, title + (redis is null ? $"; without Redis: {RedisServer.MissingBecause}" : ""), "µs", 1000, CacheClient.Table, rows);
        }
    }

    // The mean of both processes.
    private static Sample Both(CacheClient client, SecondProcess other, string call, Session session)
    {
        var duration = TimeSpan.FromMilliseconds(session.Options.IsShort ? 1 : CacheRoundMilliseconds);
        other.WriteLine(Invariant($"{call} {duration.TotalMilliseconds}"));
        return new Sample((client.Run(call, duration) + other.ReadNumber()) / 2, 0);
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
        using var other = SecondProcess.Start(SecondProcessCommand.Notified, connectionString);
        await using var notifying = new NpgsqlConnection(connectionString);
        await notifying.OpenAsync();
        await using var notify = new NpgsqlCommand("NOTIFY bare", notifying);
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            await Task.Delay(2);
            var sent = Stopwatch.GetTimestamp();
            await notify.ExecuteNonQueryAsync();
            times[i] = Since(sent, other);
        }

        return new Sample(ResultTable.Median(times), 0);
    }

    private static async Task<Sample> VisibleAsync(string connectionString, bool usesNotifications, int count)
    {
        await using var writer = await KvPostgreSql.OpenAsync(
            SecondProcessCommand.Watched, connectionString, new KvPostgreSqlOptions { UseNotifications = usesNotifications });
        using var other = SecondProcess.Start(SecondProcessCommand.Watch, connectionString, usesNotifications.ToString(CultureInfo.InvariantCulture));
        var times = new double[count];
        for (var i = 0; i < count; i++)
        {
            // At another moment of the reader's interval each time.
            await Task.Delay(1 + (usesNotifications ? i * 37 % 40 : i * 97 % PollMilliseconds));
            await writer.PutAsync("key", Workload.Value(i));
            times[i] = Since(Stopwatch.GetTimestamp(), other);
        }

        return new Sample(ResultTable.Median(times), 0);
    }

    // The other process may have shown it before the call has returned here.
    private static double Since(long committed, SecondProcess other) => Math.Max(0, (other.ReadTimestamp() - committed) * (1e9 / Stopwatch.Frequency));
}
