using System.Collections.Concurrent;
using System.Globalization;
using KvStore.PostgreSql.Tests.Outages;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Two busy lanes, while connections are lost, rows are swept, calls are cancelled, and the namespace is closed.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class LanesUnderStressTests
{
    private const int Callers = 64;
    private const int Counters = 8;

    // What no table may ever have: revisions that were not given, and a key whose noted revisions are not its last ones.
    private const string Faults =
        """
        SELECT (SELECT count(*) FROM kvstore.entries WHERE revision <= 0)
            + (SELECT count(*) FROM kvstore.changes c, unnest(c.keys, c.revisions) AS u (key, revision) WHERE u.revision <= 0 OR u.key IS NULL)
            + (SELECT count(*) FROM kvstore.entries e WHERE e.revision <> (
                SELECT max(u.revision) FROM kvstore.changes c, unnest(c.keys, c.revisions) AS u (key, revision) WHERE u.key = e.key))
            + (SELECT count(*) - count(DISTINCT u.revision) FROM kvstore.changes c, unnest(c.keys, c.revisions) AS u (key, revision))
        """;

    public static TheoryData<string, string> Disturbances { get; } = new()
    {
        { "cut", "" },
        { "half-open", CuttingProxy.NoTimeouts },
        { "replies", CuttingProxy.NoTimeouts },
        { "slow and cut", "" },
    };

    [Theory]
    [MemberData(nameof(Disturbances))]
    public async Task Lost_connections_of_the_smallest_pool_lose_and_repeat_nothing(string disturbance, string settings)
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var other = await KvPostgreSql.OpenAsync("KV", database);
        await using var kv = await KvPostgreSql.OpenAsync(
            "KV", proxy.Through(database, $"Maximum Pool Size=6;{settings}"), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60) });
        using var ending = new CancellationTokenSource();
        var increments = new int[Counters];
        var own = new int[Callers];
        var calls = Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 1; !ending.IsCancellationRequested; i++)
            {
                await kv.PutAsync($"own {caller}", $"{i}");
                Volatile.Write(ref own[caller], i);
                var counter = (caller + i) % Counters;
                await kv.IncrementAsync($"n {counter}");
                Interlocked.Increment(ref increments[counter]);
            }
        })));

        proxy.DelayMilliseconds = disturbance == "slow and cut" ? 5 : 0;
        var rounds = disturbance is "cut" or "slow and cut" ? 12 : 1;
        for (var round = 0; round < rounds && !calls.IsCompleted; round++)
        {
            var before = own.Sum();
            await WaitUntil.HoldsAsync(() => own.Sum() >= before + (2 * Callers) || calls.IsCompleted, "writes go on");
            switch (disturbance)
            {
                case "half-open":
                    proxy.HalfOpen(afterBytes: 2000);
                    break;
                case "replies":
                    proxy.SwallowsReplies = true;
                    await WaitUntil.HoldsAsync(() => proxy.RepliesLost > 0);
                    proxy.HalfOpen(afterBytes: 100_000);
                    proxy.SwallowsReplies = false;
                    break;
                default:
                    proxy.Cut();
                    break;
            }
        }

        await ending.CancelAsync();
        await calls;
        for (var counter = 0; counter < Counters; counter++)
        {
            (await PostgreSqlServer.ExecuteAsync(database, $"SELECT convert_from(value, 'UTF8') FROM kvstore.entries WHERE key = 'n {counter}'"))
                .Should().Be($"{increments[counter]}");
        }

        for (var caller = 0; caller < Callers; caller++)
        {
            (await kv.GetTextAsync($"own {caller}")).Should().Be($"{own[caller]}");
        }

        (await PostgreSqlServer.ExecuteAsync(database, Faults)).Should().Be(0L);
        var expected = await SharedNamespaces.StateOf(kv);
        await WaitUntil.HoldsAsync(async () => (await SharedNamespaces.StateOf(other)).SequenceEqual(expected));
    }

    public static TheoryData<Route> Routes { get; } = [Route.Direct, Route.Pooled, Route.Direct18, Route.Pooled18];

    [Theory]
    [MemberData(nameof(Routes))]
    public async Task Rows_that_vanish_under_two_processes_are_written_again(Route route)
    {
        ArgumentNullException.ThrowIfNull(route);
        var database = await route.ConnectionStringAsync();
        var schema = $"stress_{Guid.NewGuid():N}"[..20];
        var options = route.Options with { Schema = schema };
        await using var first = await KvPostgreSql.OpenAsync("KV", database, options);
        await using var second = await KvPostgreSql.OpenAsync("KV", database, options);
        using var ending = new CancellationTokenSource();
        var removed = 0L;
        var sweeping = Task.Run(async () =>
        {
            while (!ending.IsCancellationRequested)
            {
                // As a sweep of expired entries does: nothing is noted.
                removed += Convert.ToInt64(
                    await PostgreSqlServer.ExecuteAsync(
                        database,
                        $"""
                        WITH gone AS (
                            DELETE FROM {schema}.entries e USING (
                                SELECT key FROM {schema}.entries WHERE expires IS NOT NULL LIMIT 20 FOR UPDATE SKIP LOCKED) g
                            WHERE e.key = g.key RETURNING true)
                        SELECT count(*) FROM gone
                        """),
                    CultureInfo.InvariantCulture);
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            var kv = caller % 2 == 0 ? first : second;
            for (var i = 0; i < 60; i++)
            {
                var key = $"k {(caller + (i * 7)) % 40:D2}";
                switch (i % 6)
                {
                    case 0:
                        await kv.PutManyAsync([.. Enumerable.Range(0, 5).Select(n => new KvEntry($"k {((caller * 3) + (i * 11) - n + 80) % 40:D2}", $"{caller}"))]);
                        break;
                    case 1:
                        await kv.TryPutAsync(key, "c", KvCondition.Present);
                        break;
                    case 2:
                        await kv.DeleteAsync(key);
                        break;
                    default:
                        await kv.PutAsync(key, $"{caller} {i}", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(2) });
                        break;
                }
            }
        })));
        await ending.CancelAsync();
        await sweeping;
        removed.Should().BePositive();

        // The last ones are not swept.
        for (var key = 0; key < 40; key++)
        {
            await (key % 2 == 0 ? first : second).PutAsync($"k {key:D2}", "last");
        }

        (await PostgreSqlServer.ExecuteAsync(database, Faults.Replace("kvstore.", $"{schema}.", StringComparison.Ordinal))).Should().Be(0L);
        await WaitUntil.HoldsAsync(async () => (await SharedNamespaces.StateOf(second)).SequenceEqual(await SharedNamespaces.StateOf(first)));
        var state = await SharedNamespaces.StateOf(first);
        state.Should().HaveCount(40);
        state.Values.Should().OnlyContain(static value => value.Contains(" last ", StringComparison.Ordinal));
        await PostgreSqlServer.ExecuteAsync(database, $"DROP SCHEMA {schema} CASCADE");
    }

    [Fact]
    public async Task Calls_that_are_cancelled_beside_barriers_all_end()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var kv = shared[0];
        var (made, cancelled) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, Callers * 2).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            for (var i = 0; i < 50; i++)
            {
                using var cancellation = new CancellationTokenSource();
                var calls = Enumerable.Range(0, 5).Select(n => (random.Next(12) switch
                {
                    0 => kv.DeletePrefixAsync($"p{caller % 4}", cancellation.Token).AsTask(),
                    1 => kv.PutManyAsync([new KvEntry($"p{n}", "v"), new KvEntry($"q{i}", "v"), new KvEntry($"p{n}", "w")], cancellation.Token).AsTask(),
                    2 => kv.TryPutAsync($"p{n}", "c", KvCondition.Absent, cancellationToken: cancellation.Token).AsTask(),
                    _ => kv.PutAsync($"p{random.Next(200)}", "v", cancellationToken: cancellation.Token).AsTask(),
                })).ToArray();
                await Task.Yield();
                await cancellation.CancelAsync();
                foreach (var call in calls)
                {
                    try
                    {
                        await call;
                        Interlocked.Increment(ref made);
                    }
                    catch (OperationCanceledException)
                    {
                        Interlocked.Increment(ref cancelled);
                    }
                }
            }
        }))).WaitAsync(TimeSpan.FromMinutes(2));
        made.Should().BePositive();
        cancelled.Should().BePositive();
        await kv.PutAsync("after", "v").AsTask().WaitAsync(TimeSpan.FromMinutes(1));
        var again = await shared.AddAsync();
        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(kv));
    }

    [Fact]
    public async Task Namespace_is_closed_under_a_flood_and_every_call_ends()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        for (var round = 0; round < 10; round++)
        {
            var kv = await KvPostgreSql.OpenAsync("KV", database);
            var acknowledged = new ConcurrentDictionary<string, string>(StringComparer.Ordinal);
            var calls = Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
            {
                for (var i = 0; ; i++)
                {
                    try
                    {
                        await kv.PutAsync($"{caller}", $"{round} {i}");
                        acknowledged[$"{caller}"] = $"{round} {i}";
                        if (caller % 16 == 0)
                        {
                            await kv.DeletePrefixAsync("none");
                            await kv.PutManyAsync([new KvEntry($"m {caller}", $"{i}"), new KvEntry($"o {caller}", $"{i}")]);
                        }
                    }
                    catch (ObjectDisposedException)
                    {
                        return i;
                    }
                }
            })).ToArray();
            await WaitUntil.HoldsAsync(() => acknowledged.Count == Callers);
            await kv.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1));
            await Task.WhenAll(calls).WaitAsync(TimeSpan.FromMinutes(1));
            await using var again = await KvPostgreSql.OpenAsync("KV", database);
            foreach (var (key, value) in acknowledged)
            {
                var stored = await again.GetTextAsync(key);
                int.Parse(stored!.Split(' ')[1], CultureInfo.InvariantCulture).Should().BeGreaterThanOrEqualTo(int.Parse(value.Split(' ')[1], CultureInfo.InvariantCulture));
            }
        }
    }

    [Fact]
    public async Task Refused_writes_among_those_of_both_lanes_fail_alone()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await PostgreSqlServer.ExecuteAsync(database, "ALTER TABLE kvstore.entries ADD CONSTRAINT no CHECK (value <> 'bad')");
        var (made, failed) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < 40; i++)
            {
                var isBad = (caller + i) % 16 == 0;
                try
                {
                    await kv.PutAsync($"own {caller}", isBad ? "bad" : $"{i}");
                    isBad.Should().BeFalse();
                    Interlocked.Increment(ref made);
                    (await kv.GetTextAsync($"own {caller}")).Should().Be($"{i}");
                    await kv.IncrementAsync("n");
                }
                catch (KvPersistenceException)
                {
                    isBad.Should().BeTrue();
                    Interlocked.Increment(ref failed);
                }
            }
        })));
        (await kv.GetTextAsync("n")).Should().Be($"{made}");
        (made + failed).Should().Be(40 * Callers);
        (await PostgreSqlServer.ExecuteAsync(database, Faults)).Should().Be(0L);
    }

    [Fact]
    public async Task Processes_that_put_the_same_keys_in_opposite_orders_all_end()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        for (var round = 0; round < 4; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 32).Select(caller => Task.Run(async () =>
            {
                var kv = shared[caller % 2];
                var keys = Enumerable.Range(0, 40).Select(n => $"{round} {n:D2}").ToArray();
                keys = caller % 4 < 2 ? keys : [.. keys.Reverse()];
                if (caller < 8)
                {
                    await kv.PutManyAsync([.. keys.Select(key => new KvEntry(key, $"{caller}"))]);
                }
                else
                {
                    await Task.WhenAll(keys.Select((key, n) => n % 3 == 0 ? kv.TryPutAsync(key, "c", KvCondition.Absent).AsTask() : kv.PutAsync(key, $"{caller}").AsTask()));
                }
            })));
        }

        await shared.ShouldConvergeAsync();
        (await PostgreSqlServer.ExecuteAsync(shared.Database, Faults)).Should().Be(0L);
    }
}
