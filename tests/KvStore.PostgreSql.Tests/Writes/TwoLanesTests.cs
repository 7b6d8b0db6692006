using System.Collections.Concurrent;
using System.Globalization;
using KvStore.PostgreSql.Tests.Outages;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Many callers, whose writes are in flight over two connections at once.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class TwoLanesTests
{
    private const int Callers = 128;

    // The sessions in a transaction that has changed something.
    private const string Writing = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()";

    [Fact]
    public async Task Two_transactions_of_many_callers_are_in_flight_at_once()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var isOver = false;
        var calls = CallAsync((caller, i) => shared[0].PutAsync($"{caller}", $"{i}").AsTask(), () => !Volatile.Read(ref isOver));
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(shared.Database, $"SELECT count(*) FROM ({Writing}) s") is 2L);
        Volatile.Write(ref isOver, true);
        await calls;
    }

    [Theory]
    [InlineData(3)]
    [InlineData(100)]
    [InlineData(100_000)]
    public async Task Callers_on_some_keys_see_their_writes_in_order_and_the_last_one_wins(int keys)
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var kv = shared[0];
        var last = new ConcurrentDictionary<string, long>(StringComparer.Ordinal);
        await CallAsync(100, async (caller, i) =>
        {
            var key = $"{(caller + (i * 31)) % keys}";
            switch (i % 5)
            {
                case 0:
                    Note(key, await kv.TryPutAsync(key, "conditional", KvCondition.Present));
                    break;
                case 1:
                    await kv.DeleteAsync(key);
                    break;
                case 2:
                    Note(key, await kv.TryPutAsync(key, $"{caller}", KvCondition.Absent));
                    break;
                case 3 when caller % 16 == 0:
                    await kv.PutManyAsync([new KvEntry(key, "many"), new KvEntry($"{caller}", "many"), new KvEntry("last", "many")]);
                    break;
                default:
                    await kv.PutAsync(key, $"{caller} {i}");
                    break;
            }

            // Each caller has keys of its own as well, of which nobody else's write can hide its own.
            await kv.PutAsync($"own {caller}", $"{i}");
            (await kv.GetTextAsync($"own {caller}")).Should().Be($"{i}");
        });

        await shared.ShouldConvergeAsync();
        var reopened = await shared.AddAsync();
        (await SharedNamespaces.StateOf(reopened)).Should().Equal(await SharedNamespaces.StateOf(kv));

        void Note(string key, KvWriteResult result)
        {
            if (result.Succeeded)
            {
                last.AddOrUpdate(key, result.Revision, (_, revision) => Math.Max(revision, result.Revision));
                kv.TryGet(key, out var value);
                (value.Revision == 0 || value.Revision >= result.Revision).Should().BeTrue("revisions of a key grow");
            }
        }
    }

    [Fact]
    public async Task Writes_of_a_key_that_are_called_one_after_the_other_are_made_in_that_order()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var kv = shared[0];
        var noise = CallAsync(200, (caller, i) => kv.PutAsync($"noise {caller}", $"{i}").AsTask());
        for (var round = 0; round < 50; round++)
        {
            // None is awaited before the next one is called.
            var deleted = kv.DeleteAsync("k").AsTask();
            var created = kv.TryPutAsync("k", "0", KvCondition.Absent).AsTask();
            var puts = Enumerable.Range(1, 20).Select(i => kv.PutAsync("k", $"{i}").AsTask()).ToArray();
            var replaced = kv.TryPutAsync("k", "last", KvCondition.Present).AsTask();
            await Task.WhenAll([deleted, created, .. puts, replaced]);
            (await created).Succeeded.Should().BeTrue();
            (await replaced).Succeeded.Should().BeTrue();
            (await replaced).Revision.Should().BeGreaterThan((await created).Revision);
            (await kv.GetTextAsync("k")).Should().Be("last");
        }

        await noise;
        await shared.ShouldConvergeAsync();
    }

    [Fact]
    public async Task Increments_of_many_callers_are_all_made()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var expected = new int[10];
        await CallAsync(20, async (caller, i) =>
        {
            var counter = (caller + i) % expected.Length;
            await shared[caller % 2].IncrementAsync($"n{counter}");
            Interlocked.Increment(ref expected[counter]);
        });

        await shared.ShouldConvergeAsync();
        for (var counter = 0; counter < expected.Length; counter++)
        {
            (await shared[0].GetTextAsync($"n{counter}")).Should().Be($"{expected[counter]}");
        }
    }

    [Fact]
    public async Task Entries_of_calls_at_once_get_revisions_in_their_order()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var kv = shared[0];
        await CallAsync(10, async (caller, i) =>
        {
            var keys = Enumerable.Range(0, 1 + (caller % 40)).Select(n => $"{caller} {i} {n * 17 % 41:D2}").ToArray();
            await kv.PutManyAsync([.. keys.Select(static key => new KvEntry(key, "v"))]);
            keys.Select(key => kv.TryGet(key, out var value) ? value.Revision : 0).Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
        });
    }

    [Fact]
    public async Task Prefix_is_deleted_up_to_the_call_and_not_beyond_it_while_both_lanes_write()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var kv = shared[0];
        await CallAsync(20, async (caller, i) =>
        {
            if (caller > 0)
            {
                await kv.PutAsync($"other {caller} {i % 3}", "v");
                return;
            }

            var before = Enumerable.Range(0, 50).Select(n => kv.PutAsync($"p before {n}", "v").AsTask()).ToArray();
            var delete = kv.DeletePrefixAsync("p ").AsTask();
            var after = Enumerable.Range(0, 50).Select(n => kv.PutAsync($"p after {i} {n}", "v").AsTask()).ToArray();
            await Task.WhenAll([.. before, delete, .. after]);
            (await kv.ListAsync(new KvListOptions { Prefix = "p before" })).Keys.Should().BeEmpty();
            (await kv.ListAsync(new KvListOptions { Prefix = $"p after {i} " })).Keys.Should().HaveCount(50);
        });
    }

    [Fact]
    public async Task Sessions_that_are_killed_again_and_again_make_each_write_once()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60) });
        var written = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        using var increments = new Increments(Enumerable.Repeat(kv, 64));
        var killed = 0;
        var puts = CallAsync(
            async (caller, i) =>
            {
                await kv.PutAsync($"own {caller}", $"{i}");
                written[$"own {caller}"] = i;
            },
            () => Volatile.Read(ref killed) < 20);
        while (killed < 20 && !puts.IsCompleted)
        {
            Interlocked.Add(ref killed, Convert.ToInt32(
                await PostgreSqlServer.ExecuteAsync(database, $"SELECT count(pg_terminate_backend(pid)) FROM ({Writing} ORDER BY random() LIMIT 1) s"),
                CultureInfo.InvariantCulture));
            await increments.ProgressAsync(1);
        }

        await puts;
        var expected = await increments.EndAsync();
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT convert_from(value, 'UTF8') FROM kvstore.entries WHERE key = 'n'")).Should().Be(expected);
        await using var again = await KvPostgreSql.OpenAsync("KV", database);
        foreach (var (key, value) in written)
        {
            (await again.GetTextAsync(key)).Should().Be($"{value}");
            (await kv.GetTextAsync(key)).Should().Be($"{value}");
        }

        await kv.PutAsync("after", "v");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Writes_go_on_over_the_other_connection_while_one_waits_for_a_lock()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await kv.PutAsync("locked", "v");
        await CallAsync(5, (caller, i) => kv.PutAsync($"{caller}", $"{i}").AsTask());

        // Another program has the row, so that one lane waits for it.
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var holding = new NpgsqlCommand("SELECT 1 FROM kvstore.entries WHERE key = 'locked' FOR UPDATE", connection))
        {
            await holding.ExecuteScalarAsync();
        }

        var blocked = kv.PutAsync("locked", "w").AsTask();
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") is 1L);
        await CallAsync(5, (caller, i) => kv.PutAsync($"{caller}", $"again {i}").AsTask());

        blocked.IsCompleted.Should().BeFalse();
        await transaction.RollbackAsync();
        await blocked;
        (await kv.GetTextAsync("locked")).Should().Be("w");
    }

    [Fact]
    public async Task Pool_without_a_place_for_the_second_connection_slows_nothing_down_but_that()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var options = new KvPostgreSqlOptions { UseNotifications = false, WriteTimeout = TimeSpan.FromSeconds(5) };
        await using var source = NpgsqlDataSource.Create($"{database};Maximum Pool Size=4;Timeout=1");
        await using var kv = await KvPostgreSql.OpenAsync("KV", source, options);
        await kv.PutAsync("k", "v");

        // The application has the rest of the pool.
        await using var first = await source.OpenConnectionAsync();
        await using var second = await source.OpenConnectionAsync();
        await CallAsync(20, (caller, i) => kv.PutAsync($"{caller}", $"{i}").AsTask());
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        kv.Count.Should().Be(Callers + 1);
    }

    private static Task CallAsync(int times, Func<int, int, Task> call) => CallAsync(call, () => true, times);

    private static Task CallAsync(Func<int, int, Task> call, Func<bool> goesOn, int times = int.MaxValue) =>
        Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < times && goesOn(); i++)
            {
                await call(caller, i);
            }
        })));
}
