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

    private static WriteTransaction PutsOf(IEnumerable<int> keys) => new(
        new WriteStatements("kvstore"), 1, new DatabaseClock(TimeProvider.System),
        [.. keys.Select(static key => new QueuedWrite(new KvEngineWrite
        {
            Operation = KvEngineOperation.Put,
            Mutation = new KvMutation { Key = Encoding.UTF8.GetBytes($"{key}") },
            RevisionMax = long.MaxValue,
        }))],
        static _ => false);
}
