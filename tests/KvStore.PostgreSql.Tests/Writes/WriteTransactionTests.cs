using System.Text;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Tests.Servers;
using KvStore.PostgreSql.Writes;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Writes;

public sealed class WriteTransactionTests
{
    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Transaction_of_many_puts_commits_nothing_after_it_was_abandoned(bool isAbandoned)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var transaction = PutsOf(Enumerable.Range(0, ManyPuts.From));
        if (isAbandoned)
        {
            transaction.Abandon();
        }

        await using (var connection = new NpgsqlConnection(shared.Database))
        {
            await connection.OpenAsync();
            var run = () => transaction.RunAsync(connection, sent: null, secondsMax: 20, CancellationToken.None).AsTask();
            await (isAbandoned ? run.Should().ThrowAsync<OperationCanceledException>() : (Task)run.Should().NotThrowAsync());
        }

        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(*) FROM kvstore.entries")).Should().Be(isAbandoned ? 0L : ManyPuts.From);
    }

    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(1)]
    [InlineData(100)]
    public async Task Puts_in_one_statement_get_the_revisions_of_their_rows(int puts)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await using var connection = new NpgsqlConnection(shared.Database);
        await connection.OpenAsync();

        // In no order, and over rows that exist as well as new ones.
        await PutsOf(Enumerable.Range(puts / 2, puts)).RunAsync(connection, sent: null, secondsMax: 20, CancellationToken.None);
        var transaction = PutsOf(Enumerable.Range(0, puts).Reverse());
        await transaction.RunAsync(connection, sent: null, secondsMax: 20, CancellationToken.None);

        using var command = new NpgsqlCommand($"SELECT key, revision FROM kvstore.entries WHERE revision >= {transaction.Made.Values.Min().Revision}", connection);
        var rows = new Dictionary<string, long>();
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                rows.Add(Encoding.UTF8.GetString(reader.GetFieldValue<byte[]>(0)), reader.GetInt64(1));
            }
        }

        rows.Should().HaveCount(puts);
        transaction.Writes.ToDictionary(static write => Encoding.UTF8.GetString(write.Key.Span), write => transaction.OutcomeOf(write).Revision)
            .Should().BeEquivalentTo(rows);
    }

    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(1)]
    [InlineData(100)]
    public async Task Puts_in_one_statement_write_nothing_to_a_server_that_is_not_adopted(int puts)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await PostgreSqlServer.ExecuteAsync(shared.Database, "UPDATE kvstore.meta SET adopted = 'another'");
        await using var connection = new NpgsqlConnection(shared.Database);
        await connection.OpenAsync();

        var run = () => PutsOf(Enumerable.Range(0, puts)).RunAsync(connection, sent: null, secondsMax: 20, CancellationToken.None).AsTask();

        (await run.Should().ThrowAsync<PostgresException>()).Which.Should().Match<PostgresException>(static e => Adoption.IsMissing(e));
        (await PostgreSqlServer.ExecuteAsync(
            shared.Database, "SELECT (SELECT count(*) FROM kvstore.entries) + (SELECT count(*) FROM kvstore.changes) + (SELECT count(*) FROM kvstore.commits)"))
            .Should().Be(0L);
    }

    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(100)]
    public async Task Puts_keep_the_metadata_and_the_deadlines_that_only_some_of_them_have(int each)
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var deadline = DateTimeOffset.UtcNow.AddDays(1);
        var puts = new List<Task>();
        for (var i = 0; i < 100; i++)
        {
            var options = i % each == 0 ? new KvPutOptions { Metadata = KvMetadata.FromJson($"\"m{i}\""), Expiration = deadline } : null;
            puts.Add(shared[0].PutAsync($"{i:D3}", i % 3 == 0 ? "" : $"v{i}", options).AsTask());
        }

        await Task.WhenAll(puts);
        await shared.ShouldConvergeAsync();
        await foreach (var entry in shared[1].ScanAsync())
        {
            var i = int.Parse(entry.Key, System.Globalization.CultureInfo.InvariantCulture);
            entry.Value.GetText().Should().Be(i % 3 == 0 ? "" : $"v{i}");
            $"{entry.Value.Metadata}".Should().Be(i % each == 0 ? $"\"m{i}\"" : $"{default(KvMetadata)}");
        }

        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(*) FROM kvstore.entries WHERE expires IS NOT NULL AND metadata <> ''"))
            .Should().Be((99L / each) + 1);
    }

    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(1)]
    [InlineData(20)]
    [InlineData(2000)]
    public async Task Puts_of_keys_whose_rows_somebody_has_removed_insert_them_again(int puts)
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var kv = shared[0];
        await PutAllAsync("old");
        var before = await RevisionAsync("max");
        await PostgreSqlServer.ExecuteAsync(shared.Database, "DELETE FROM kvstore.entries WHERE key <> '0'");

        await PutAllAsync("new");

        (await RevisionAsync("min")).Should().BeGreaterThan(before);
        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(*) FROM kvstore.entries WHERE value = 'new'")).Should().Be((long)puts);
        await shared.ShouldConvergeAsync();

        Task PutAllAsync(string value) => Task.WhenAll(Enumerable.Range(0, puts).Select(i => kv.PutAsync($"{i}", value).AsTask()));

        async Task<long> RevisionAsync(string function) =>
            (long)(await PostgreSqlServer.ExecuteAsync(shared.Database, $"SELECT {function}(revision) FROM kvstore.entries"))!;
    }

    private static WriteTransaction PutsOf(IEnumerable<int> keys) => new(
        new WriteStatements("kvstore"), 1, new DatabaseClock(TimeProvider.System),
        [.. keys.Select(static key => Queued.Write($"{key}"))],
        static _ => false);
}
