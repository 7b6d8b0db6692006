using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Tests.Servers;
using KvStore.PostgreSql.Tests.Writes;
using KvStore.PostgreSql.Writes;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>Somebody changes the tables by hand, in ways that the documents do not forbid or that a restore has as well.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class TamperedTablesTests
{
    [Theory]
    [InlineData("TRUNCATE kvstore.changes")]
    [InlineData("DO $$ BEGIN EXECUTE 'TRUNCATE kvstore.changes_' || (SELECT min(slot) FROM kvstore.changes); END $$")]
    [InlineData("DO $$ BEGIN EXECUTE 'DROP TABLE kvstore.changes_' || (SELECT min(slot) FROM kvstore.changes); END $$")]
    public async Task Changes_that_somebody_removes_lead_to_a_comparison_of_everything(string removal)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var server = await PostgreSqlServer.Shared;
        await using var proxy = new CuttingProxy(server.Socket);
        await using var away = await KvPostgreSql.OpenAsync("SHARED", proxy.Through(shared.Database, "Timeout=2"));
        await shared[0].PutManyAsync([.. Enumerable.Range(0, 300).Select(static i => new KvEntry($"{i:D3}", "old"))]);
        await WaitUntil.HoldsAsync(() => away.Count == 300);
        proxy.Refuses = true;
        proxy.Cut();
        await shared[0].PutManyAsync([.. Enumerable.Range(100, 300).Select(static i => new KvEntry($"{i:D3}", "new"))]);
        await shared[0].DeleteManyAsync([.. Enumerable.Range(0, 50).Select(static i => $"{i:D3}")]);
        var expected = await SharedNamespaces.StateOf(shared[0]);
        await PostgreSqlServer.ExecuteAsync(shared.Database, removal);
        proxy.Refuses = false;

        await WaitUntil.HoldsAsync(() => away.Count == 350 && away.TryGet("399", out _), "the loss is noticed");
        (await SharedNamespaces.StateOf(away)).Should().Equal(expected);
        (await SharedNamespaces.StateOf(shared[0])).Should().Equal(expected);
    }

    [Fact]
    public async Task Number_of_a_namespace_whose_row_is_lost_is_not_given_to_another_one()
    {
        // A database that is restored from a dump of the time before the namespace, or a standby that lacks its row.
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var first = await KvPostgreSql.OpenAsync("FIRST", database);
        await first.PutAsync("k", "first");
        await PostgreSqlServer.ExecuteAsync(database, "DELETE FROM kvstore.namespaces");

        await using var second = await KvPostgreSql.OpenAsync("SECOND", database);
        second.Count.Should().Be(0);
        await second.PutAsync("k", "second");
        await first.PutAsync("other", "first");
        await using var again = await KvPostgreSql.OpenAsync("FIRST", database);
        await again.PutAsync("third", "first");
        await WaitUntil.HoldsAsync(() => first.TryGet("third", out _));

        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(first)).And.HaveCount(3);
        (await first.GetTextAsync("k")).Should().Be("first");
        (await second.GetTextAsync("k")).Should().Be("second");
        second.Count.Should().Be(1);
    }

    [Fact]
    public async Task Number_that_another_namespace_has_is_not_used()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        int number;
        await using (await KvPostgreSql.OpenAsync("KV", database))
        {
            number = (int)(await PostgreSqlServer.ExecuteAsync(database, "SELECT id FROM kvstore.namespaces"))!;
        }

        await PostgreSqlServer.ExecuteAsync(database, "UPDATE kvstore.namespaces SET name = 'OTHER'");
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await using var other = await KvPostgreSql.OpenAsync("OTHER", database);
        await kv.PutAsync("k", "v");
        other.Count.Should().Be(0);
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT id FROM kvstore.namespaces WHERE name = 'KV'")).Should().Be(number + 1);
    }

    [Fact]
    public async Task Row_of_meta_that_is_missing_is_named_when_a_write_is_refused()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1, new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(3) });
        await shared[0].PutAsync("k", "v");
        await PostgreSqlServer.ExecuteAsync(shared.Database, "CREATE TABLE kept AS TABLE kvstore.meta; DELETE FROM kvstore.meta");

        var put = () => shared[0].PutAsync("k", "w").AsTask();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*The table kvstore.meta has no row*Nothing was written*");
        (await shared[0].GetTextAsync("k")).Should().Be("v");

        await PostgreSqlServer.ExecuteAsync(shared.Database, "INSERT INTO kvstore.meta TABLE kept");
        await shared[0].PutAsync("k", "w");
        shared[0].Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Row_of_meta_that_is_missing_is_asked_for_with_pauses()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await PostgreSqlServer.ExecuteAsync(shared.Database, "DELETE FROM kvstore.meta");
        await using var source = NpgsqlDataSource.Create(shared.Database);
        var attempts = 0;
        await using var lane = new WriteLane(0, "kvstore", source, TimeSpan.FromSeconds(1), Begin, static _ => { }, static _ => { });

        var commit = () => lane.CommitAsync([Queued.Write("k")], TimeProvider.System.GetTimestamp()).AsTask();
        await commit.Should().ThrowAsync<PostgresException>();
        attempts.Should().BeInRange(2, 50);

        WriteTransaction Begin(List<QueuedWrite> writes, int refusals)
        {
            attempts++;
            return new WriteTransaction(new WriteStatements("kvstore"), 1, new DatabaseClock(TimeProvider.System), writes, static _ => false, refusals);
        }
    }

    [Fact]
    public async Task Sequence_cannot_be_set_beyond_the_revisions_that_a_process_can_keep()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var beyond = () => PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT setval('kvstore.revisions', (1::bigint << 60))");
        (await beyond.Should().ThrowAsync<PostgresException>()).Which.SqlState.Should().Be(PostgresErrorCodes.NumericValueOutOfRange);

        await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT setval('kvstore.revisions', (1::bigint << 60) - 2)");
        await shared[0].PutAsync("k", "last");
        var put = () => shared[0].PutAsync("k", "beyond").AsTask();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*reached maximum value of sequence*Nothing was written*");
        (await shared[0].GetAsync("k")).Revision.Should().Be((1L << 60) - 1);
        (await shared[0].GetTextAsync("k")).Should().Be("last");
    }
}
