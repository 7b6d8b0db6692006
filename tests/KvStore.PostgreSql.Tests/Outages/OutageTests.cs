using System.Collections.Concurrent;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>The server is killed, connections are cut, data is set back: nothing acknowledged is lost, and every process recovers.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class OutageTests
{
    private const string ClientSettings = "Timeout=2;Cancellation Timeout=500";

    [Fact]
    public async Task Server_that_is_killed_again_and_again_loses_no_acknowledged_write()
    {
        await using var server = await PostgreSqlServer.StartNewAsync();
        var options = new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60) };
        await using var writer = await KvPostgreSql.OpenAsync("KV", server.ConnectionString, options);
        await using var reader = await KvPostgreSql.OpenAsync("KV", server.ConnectionString, options);
        var acknowledged = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        using var ending = new CancellationTokenSource();
        var writing = Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; !ending.IsCancellationRequested; i++)
            {
                await writer.PutAsync($"k{worker}", $"{i}");
                acknowledged[$"k{worker}"] = i;
                await writer.IncrementAsync("n");
                acknowledged.AddOrUpdate("n", 1, (_, n) => n + 1);
            }
        })));
        for (var round = 0; round < 3; round++)
        {
            await ProgressAsync();
            server.Kill();
            await server.StartAsync();
        }

        await ProgressAsync();
        await ending.CancelAsync();
        await writing;

        await WaitUntil.HoldsAsync(() => acknowledged.All(pair => reader.TryGet(pair.Key, out var value) && value.GetText() == $"{pair.Value}"));
        await using var again = await KvPostgreSql.OpenAsync("KV", server.ConnectionString);
        foreach (var (key, value) in acknowledged)
        {
            (await again.GetTextAsync(key)).Should().Be($"{value}");
        }

        await writer.PutAsync("after", "v");
        writer.Health.Status.Should().Be(KvPersistenceStatus.Healthy);

        async Task ProgressAsync()
        {
            var before = acknowledged.GetValueOrDefault("n");
            await WaitUntil.HoldsAsync(() => acknowledged.GetValueOrDefault("n") > before + 30 || writing.IsCompleted);
        }
    }

    [Fact]
    public async Task Connections_that_are_cut_in_the_middle_of_commits_make_no_write_twice()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var kv = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, ClientSettings), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60) });
        using var increments = new Increments(kv, kv, kv, kv);
        var random = new Random(3);
        for (var i = 0; i < 25; i++)
        {
            await Task.Delay(random.Next(40));
            proxy.Cut();
        }

        var expected = await increments.EndAsync();
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT convert_from(value, 'UTF8') FROM kvstore.entries")).Should().Be(expected);
        (await kv.GetTextAsync("n")).Should().Be(expected);
    }

    [Fact]
    public async Task Commit_whose_reply_is_lost_is_found_to_be_made()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var kv = await KvPostgreSql.OpenAsync(
            "KV", proxy.Through(database, ClientSettings), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60), UseNotifications = false });
        await kv.PutAsync("before", "v");
        proxy.SwallowsReplies = true;
        var create = kv.TryPutAsync("k", "v", KvCondition.Absent).AsTask();
        await WaitUntilCommittedAsync(database, "k");
        proxy.SwallowsReplies = false;
        proxy.Cut();

        var result = await create;
        result.Succeeded.Should().BeTrue("the write was made, and must not be made again");
        (await kv.GetAsync("k")).Revision.Should().Be(result.Revision);
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.changes WHERE convert_to('k', 'UTF8') = ANY (keys)")).Should().Be(1L);
    }

    [Fact]
    public async Task Outcome_that_cannot_be_found_out_is_reported_as_unknown_and_shown_later()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var kv = await KvPostgreSql.OpenAsync(
            "KV", proxy.Through(database, ClientSettings), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(3), UseNotifications = false });
        for (var i = 0; i < 2; i++)
        {
            // The second time, the statements are prepared. Afterwards a put is sent at once.
            await kv.PutAsync("before", "v");
        }

        proxy.SwallowsReplies = true;
        var put = kv.PutAsync("k", "v").AsTask();
        await WaitUntilCommittedAsync(database, "k");
        proxy.Refuses = true;
        proxy.SwallowsReplies = false;
        proxy.Cut();

        await put.Invoking(p => p).Should().ThrowAsync<KvOutcomeUnknownException>();
        kv.TryGet("before", out _).Should().BeTrue("reads go on");
        var refused = () => kv.PutAsync("other", "v").AsTask();
        (await refused.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*Nothing was written*");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Degraded);

        proxy.Refuses = false;
        await WaitUntil.HoldsAsync(() => kv.TryGet("k", out _));
        await kv.PutAsync("other", "v");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.entries")).Should().Be(3L);
    }

    [Fact]
    public async Task Writes_that_wait_for_each_other_wait_for_the_database_together()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var kv = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, ClientSettings), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(2) });
        await kv.PutAsync("k", "v");
        proxy.Refuses = true;
        proxy.Cut();

        // Conditional writes of one key go into one transaction each. One after the other they would wait for minutes.
        var writes = Enumerable.Range(0, 100).Select(i => kv.TryPutAsync("k", $"{i}", KvCondition.Present).AsTask()).ToArray();
        var all = Task.WhenAll(writes);
        await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(60)));
        all.IsCompleted.Should().BeTrue();
        foreach (var write in writes)
        {
            await write.Invoking(w => w).Should().ThrowAsync<KvPersistenceException>();
        }

        proxy.Refuses = false;
        (await kv.TryPutAsync("k", "after", KvCondition.Present)).Succeeded.Should().BeTrue();
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT convert_from(value, 'UTF8') FROM kvstore.entries")).Should().Be("after");
    }

    [Fact]
    public async Task Stale_state_is_refused_where_that_is_chosen_and_served_again_when_it_is_fresh()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        var options = new KvPostgreSqlOptions { StalenessMax = TimeSpan.FromSeconds(1), WhenStale = KvWhenStale.Refuse };
        await using var refusing = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, ClientSettings), options);
        await using var serving = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, ClientSettings), options with { WhenStale = KvWhenStale.Serve });
        await refusing.PutAsync("k", "v");
        await WaitUntil.HoldsAsync(() => serving.TryGet("k", out _));
        proxy.Refuses = true;
        proxy.Cut();

        await WaitUntil.HoldsAsync(() => refusing.Health.Status == KvPersistenceStatus.Degraded && ServedText(refusing) is null);
        await refusing.Invoking(kv => kv.GetTextAsync("k").AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 503);
        await refusing.Invoking(kv => kv.ListAsync().AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 503);
        await WaitUntil.HoldsAsync(() => serving.Health.Status == KvPersistenceStatus.Degraded);
        serving.TryGet("k", out _).Should().BeTrue();

        proxy.Refuses = false;
        await WaitUntil.HoldsAsync(() => ServedText(refusing) == "v" && refusing.Health.Status == KvPersistenceStatus.Healthy);

        // Null where the read is refused.
        static string? ServedText(KvNamespace kv)
        {
            try
            {
                kv.TryGet("k", out var value).Should().BeTrue();
                return value.GetText();
            }
            catch (KvException e) when (e.StatusCode == 503)
            {
                return null;
            }
        }
    }

    [Fact]
    public async Task Changes_that_were_removed_too_early_lead_to_a_comparison_of_everything()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var server = await PostgreSqlServer.Shared;
        await using var proxy = new CuttingProxy(server.Socket);
        await using var away = await KvPostgreSql.OpenAsync("SHARED", proxy.Through(shared.Database, ClientSettings));
        await shared[0].PutManyAsync([.. Enumerable.Range(0, 3000).Select(i => new KvEntry($"{i:D4}", "old"))]);
        await WaitUntil.HoldsAsync(() => away.Count == 3000);
        proxy.Refuses = true;
        proxy.Cut();
        await shared[0].PutManyAsync([.. Enumerable.Range(1000, 500).Select(i => new KvEntry($"{i:D4}", "new"))]);
        await shared[0].DeleteManyAsync([.. Enumerable.Range(0, 500).Select(i => $"{i:D4}")]);
        await shared[0].PutAsync("other", "v");
        await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            """
            TRUNCATE kvstore.changes;
            DELETE FROM kvstore.entries WHERE deleted_at IS NOT NULL;
            UPDATE kvstore.meta SET changes_floor = pg_current_xact_id()
            """);
        proxy.Refuses = false;

        await WaitUntil.HoldsAsync(() => away.TryGet("other", out _) && away.Count == 2501);
        (await SharedNamespaces.StateOf(away)).Should().Equal(await SharedNamespaces.StateOf(shared[0]));
    }

    [Fact]
    public async Task Database_that_is_restored_from_a_dump_is_followed()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        await shared[0].PutManyAsync([new KvEntry("kept", "1"), new KvEntry("changed", "1"), new KvEntry("deleted", "1")]);
        await CopySchemaAsync(shared.Database);
        await shared[0].PutManyAsync([new KvEntry("changed", "2"), new KvEntry("lost", "1")]);
        await shared[0].DeleteAsync("deleted");
        await shared.ShouldConvergeAsync();
        var before = (await shared[1].GetAsync("changed")).Revision;

        await RestoreSchemaAsync(shared.Database);

        for (var i = 0; i < 2; i++)
        {
            var kv = shared[i];
            await WaitUntil.HoldsAsync(
                () => !kv.TryGet("lost", out _) && kv.TryGet("deleted", out _) && kv.TryGet("changed", out var value) && value.GetText() == "1");
            (await kv.GetAsync("changed")).Revision.Should().BeGreaterThan(before);
        }

        await shared[1].PutAsync("changed", "3");
        await WaitUntil.HoldsAsync(() => shared[0].TryGet("changed", out var value) && value.GetText() == "3");
        await shared.ShouldConvergeAsync();
    }

    [Fact]
    public async Task Sequence_that_is_set_back_by_hand_is_refused_until_it_is_set_forward()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var kv = shared[0];
        await kv.PutAsync("k", "v");
        var last = (long)(await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT last_value FROM kvstore.revisions"))!;
        await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT setval('kvstore.revisions', 1)");

        await WaitUntil.HoldsAsync(() => kv.Health.Status == KvPersistenceStatus.Failed);
        var put = () => kv.PutAsync("k", "w").AsTask();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*set it back*setval*");
        kv.TryGet("k", out _).Should().BeTrue();
        var open = () => KvPostgreSql.OpenAsync("SHARED", shared.Database).AsTask();
        (await open.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*setval*");

        await PostgreSqlServer.ExecuteAsync(shared.Database, $"SELECT setval('kvstore.revisions', {last + 1000})");
        await WaitUntil.HoldsAsync(() => kv.Health.Status != KvPersistenceStatus.Failed);
        await kv.PutAsync("k", "w");
        (await kv.GetTextAsync("k")).Should().Be("w");
    }

    private static Task WaitUntilCommittedAsync(string database, string key) => WaitUntil.HoldsAsync(async () => (bool)(await PostgreSqlServer.ExecuteAsync(
        database, $"SELECT EXISTS (SELECT 1 FROM kvstore.entries WHERE key = convert_to('{key}', 'UTF8'))"))!);

    // What a dump of these tables contains.
    private static Task CopySchemaAsync(string database) => PostgreSqlServer.ExecuteAsync(
        database,
        """
        CREATE SCHEMA dump;
        CREATE TABLE dump.meta AS TABLE kvstore.meta;
        CREATE TABLE dump.namespaces AS TABLE kvstore.namespaces;
        CREATE TABLE dump.entries AS TABLE kvstore.entries;
        CREATE TABLE dump.changes AS TABLE kvstore.changes;
        CREATE TABLE dump.commits AS TABLE kvstore.commits;
        CREATE TABLE dump.revisions AS SELECT last_value FROM kvstore.revisions
        """);

    // What a restore of the dump does.
    private static Task RestoreSchemaAsync(string database) => PostgreSqlServer.ExecuteAsync(
        database,
        $"""
        BEGIN;
        DROP SCHEMA kvstore CASCADE;
        {KvPostgreSql.Script()};
        DELETE FROM kvstore.meta;
        INSERT INTO kvstore.meta SELECT * FROM dump.meta;
        INSERT INTO kvstore.namespaces SELECT * FROM dump.namespaces;
        INSERT INTO kvstore.entries SELECT * FROM dump.entries;
        INSERT INTO kvstore.changes SELECT * FROM dump.changes;
        INSERT INTO kvstore.commits SELECT * FROM dump.commits;
        SELECT setval('kvstore.revisions', (SELECT last_value FROM dump.revisions));
        COMMIT
        """);
}
