using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Sharing;

/// <summary>What simpler feeds get wrong, against the real server: transactions that are still open, and revisions that meet.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class FeedRegressionTests() : FeedRegressions(PostgreSqlVersion.Packaged);

/// <summary>The same on PostgreSQL 18.</summary>
[RealPartClass(RealPart.PostgreSql18)]
public sealed class FeedRegression18Tests() : FeedRegressions(PostgreSqlVersion.Eighteen);

/// <summary>The tests, which run on each version.</summary>
public abstract class FeedRegressions(PostgreSqlVersion version)
{
    [Fact]
    public async Task Transaction_that_commits_late_is_not_lost()
    {
        await using var shared = await OpenSharedAsync(2);
        await using var slow = await Open(shared.Database);
        await Run(slow, "BEGIN");
        await Run(slow, Write("slow", "v"));
        await shared[0].PutAsync("fast", "v");
        await WaitUntil.HoldsAsync(() => shared[1].TryGet("fast", out _));
        shared[1].TryGet("slow", out _).Should().BeFalse();

        await Run(slow, "COMMIT");
        await WaitUntil.HoldsAsync(() => shared[0].TryGet("slow", out _) && shared[1].TryGet("slow", out _));
    }

    [Fact]
    public async Task Transaction_that_is_rolled_back_is_never_shown()
    {
        await using var shared = await OpenSharedAsync(1);
        await using var other = await Open(shared.Database);
        await Run(other, "BEGIN");
        await Run(other, Write("k", "v"));
        await Run(other, "ROLLBACK");
        await shared[0].PutAsync("marker", "v");
        await Run(other, Write("end", "v"));
        await WaitUntil.HoldsAsync(() => shared[0].TryGet("end", out _));
        shared[0].TryGet("k", out _).Should().BeFalse();
    }

    [Fact]
    public async Task Open_transaction_in_another_database_delays_nothing()
    {
        await using var shared = await OpenSharedAsync(2);
        await using var other = await Open(await (await PostgreSqlServer.SharedOf(version)).CreateDatabaseAsync());
        await Run(other, "CREATE TABLE t (x int)");
        await Run(other, "BEGIN");
        await Run(other, "INSERT INTO t VALUES (1)");
        for (var i = 0; i < 5; i++)
        {
            await shared[0].PutAsync("k", $"{i}");
            await WaitUntil.HoldsAsync(() => shared[1].TryGet("k", out var value) && value.GetText() == $"{i}");
        }

        await Run(other, "ROLLBACK");
    }

    [Fact]
    public async Task Open_transaction_from_before_the_tables_leads_to_no_comparison_of_everything()
    {
        await using var other = await Open(await (await PostgreSqlServer.SharedOf(version)).CreateDatabaseAsync());
        await Run(other, "CREATE TABLE t (x int)");
        await Run(other, "BEGIN");
        await Run(other, "INSERT INTO t VALUES (1)");
        await using var shared = await OpenSharedAsync(1);
        var engine = new PostgreSqlEngine(NpgsqlDataSource.Create(shared.Database), ownsDataSource: true, new KvPostgreSqlOptions());
        await using var kv = await KvNamespace.OpenAsync("SHARED", new KvNamespaceOptions { Engine = engine });
        await FollowAsync("open");
        engine.Resyncs.Should().Be(0);

        // It may have written changes that were removed meanwhile. Later questions begin after it.
        await Run(other, "COMMIT");
        await FollowAsync("ended");
        engine.Resyncs.Should().Be(1);

        async Task FollowAsync(string key)
        {
            for (var i = 0; i < 5; i++)
            {
                await shared[0].PutAsync(key, $"{i}");
                await WaitUntil.HoldsAsync(() => kv.TryGet(key, out var value) && value.GetText() == $"{i}");
            }
        }
    }

    [Fact]
    public async Task Write_that_waits_for_the_row_gets_the_higher_revision()
    {
        await using var shared = await OpenSharedAsync(2);
        await shared[0].PutAsync("k", "v0");
        await using var other = await Open(shared.Database);
        await Run(other, "BEGIN");
        await Run(other, Write("k", "A"));
        var waiting = shared[0].PutAsync("k", "B").AsTask();
        await WaitUntilSomebodyWaitsAsync(shared.Database);
        await Run(other, Write("k", "A2"));
        await Run(other, "COMMIT");
        await waiting;

        await WaitUntil.HoldsAsync(() => shared[1].TryGet("k", out var value) && value.GetText() == "B");
        shared[0].TryGet("k", out var own).Should().BeTrue();
        own.GetText().Should().Be("B");
        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT revision FROM kvstore.entries")).Should().Be(own.Revision);
    }

    [Fact]
    public async Task Put_that_waits_for_a_delete_comes_after_it()
    {
        await using var shared = await OpenSharedAsync(2);
        await shared[0].PutAsync("k", "v0");
        await using var other = await Open(shared.Database);
        await Run(other, "BEGIN");
        await Run(
            other,
            """
            WITH w AS (UPDATE kvstore.entries SET deleted_at = now(), value = '', revision = nextval('kvstore.revisions') RETURNING key, revision)
            INSERT INTO kvstore.changes (namespace, keys, revisions) SELECT (SELECT id FROM kvstore.namespaces), array_agg(key), array_agg(revision) FROM w
            """);
        var waiting = shared[0].PutAsync("k", "after").AsTask();
        await WaitUntilSomebodyWaitsAsync(shared.Database);
        await Run(other, "COMMIT");
        await waiting;
        await WaitUntil.HoldsAsync(() => shared[1].TryGet("k", out var value) && value.GetText() == "after");
        await shared.ShouldConvergeAsync();
    }

    [Fact]
    public async Task Later_version_with_the_lower_transaction_number_wins()
    {
        await using var shared = await OpenSharedAsync(2);
        await using var first = await Open(shared.Database);
        await Run(first, "BEGIN");
        await Run(first, "SELECT pg_current_xact_id()");
        await shared[0].PutAsync("k", "older");
        await WaitUntil.HoldsAsync(() => shared[1].TryGet("k", out _));
        await Run(first, Write("k", "newer"));
        await Run(first, "COMMIT");
        await WaitUntil.HoldsAsync(() => shared[0].TryGet("k", out var a) && a.GetText() == "newer" && shared[1].TryGet("k", out var b) && b.GetText() == "newer");
    }

    [Fact]
    public async Task Overwrites_of_entries_without_a_deadline_are_heap_only()
    {
        await using var shared = await OpenSharedAsync(1);
        for (var round = 0; round < 4; round++)
        {
            await shared[0].PutManyAsync([.. Enumerable.Range(0, 500).Select(i => new KvEntry($"{i:D4}", $"{round}"))]);
        }

        // The statistics are written when the session ends, and otherwise seconds later.
        await shared[0].DisposeAsync();
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var hot = (bool)(await PostgreSqlServer.ExecuteAsync(
                shared.Database, "SELECT n_tup_upd >= 1500 AND n_tup_hot_upd > n_tup_upd / 10 FROM pg_stat_user_tables WHERE relname = 'entries'"))!;
            if (hot)
            {
                return;
            }

            TimeProvider.System.GetElapsedTime(began).Should().BeLessThan(TimeSpan.FromSeconds(60), $"{await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'entries'")}");
            await Task.Delay(200);
        }
    }

    // As a process writes.
    private static string Write(string key, string value) =>
        $"""
        WITH w AS (
            INSERT INTO kvstore.entries AS e (namespace, key, value, revision)
            VALUES ((SELECT id FROM kvstore.namespaces), convert_to('{key}', 'UTF8'), convert_to('{value}', 'UTF8'), nextval('kvstore.revisions'))
            ON CONFLICT (namespace, key) DO UPDATE SET value = EXCLUDED.value, deleted_at = NULL, revision = nextval('kvstore.revisions')
            RETURNING e.key, e.revision)
        INSERT INTO kvstore.changes (namespace, keys, revisions) SELECT (SELECT id FROM kvstore.namespaces), array_agg(key), array_agg(revision) FROM w
        """;

    private Task<SharedNamespaces> OpenSharedAsync(int count) => SharedNamespaces.OpenAsync(count, options: null, version);

    private static async Task<NpgsqlConnection> Open(string database)
    {
        var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        return connection;
    }

    private static async Task Run(NpgsqlConnection connection, string statement)
    {
        await using var command = new NpgsqlCommand(statement, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static Task WaitUntilSomebodyWaitsAsync(string database) => WaitUntil.HoldsAsync(async () => (bool)(await PostgreSqlServer.ExecuteAsync(
        database, "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')"))!);
}
