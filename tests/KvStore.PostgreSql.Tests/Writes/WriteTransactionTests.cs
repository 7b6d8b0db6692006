using System.Text;
using KvStore.PostgreSql.Connections;
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
        var writes = Enumerable.Range(0, ManyPuts.From).Select(static i => new QueuedWrite(new KvEngineWrite
        {
            Operation = KvEngineOperation.Put,
            Mutation = new KvMutation { Key = Encoding.UTF8.GetBytes($"{i}") },
            RevisionMax = long.MaxValue,
        })).ToList();
        var transaction = new WriteTransaction(
            new WriteStatements("kvstore"), 1, new DatabaseClock(TimeProvider.System), writes, static _ => false);
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
}
