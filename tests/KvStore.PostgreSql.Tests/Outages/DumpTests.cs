using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>A dump of <c>pg_dump</c> is restored, and takes the place of the database: on the same server, and on another one.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class DumpTests
{
    [Fact]
    public async Task Restored_copy_that_takes_the_name_of_the_database_is_noticed_and_followed()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        var copy = await server.CreateDatabaseAsync();
        await FollowAsync(server, database, database, copy, server, () => SwapAsync(server, database, copy));
    }

    [Fact]
    public async Task Restored_copy_on_another_server_behind_the_same_address_is_noticed_and_followed()
    {
        var server = await PostgreSqlServer.Shared;
        await using var another = await PostgreSqlServer.StartNewAsync();
        var database = await server.CreateDatabaseAsync();
        var copy = new NpgsqlConnectionStringBuilder(another.ConnectionString) { Database = DatabaseOf(database) }.ConnectionString;
        await PostgreSqlServer.ExecuteAsync(another.ConnectionString, $"CREATE DATABASE {DatabaseOf(database)}");
        await using var proxy = new CuttingProxy(server.Socket);
        await FollowAsync(server, database, proxy.Through(database), copy, another, () =>
        {
            proxy.LeadTo(another.Socket);
            proxy.Cut();
            return Task.CompletedTask;
        });
    }

    private static async Task FollowAsync(
        PostgreSqlServer server, string database, string address, string copy, PostgreSqlServer serverOfCopy, Func<Task> replaceAsync)
    {
        await using var first = await KvPostgreSql.OpenAsync("KV", address);
        await using var second = await KvPostgreSql.OpenAsync("KV", address);
        await first.PutManyAsync([new KvEntry("kept", "1"), new KvEntry("changed", "1"), new KvEntry("deleted", "1")]);
        var dump = await server.DumpAsync(DatabaseOf(database));
        await first.PutManyAsync([new KvEntry("changed", "2"), new KvEntry("lost", "1")]);
        await first.DeleteAsync("deleted");
        await WaitUntil.HoldsAsync(() => second.TryGet("lost", out _) && !second.TryGet("deleted", out _));
        var before = (await second.GetAsync("changed")).Revision;

        await serverOfCopy.RestoreAsync(DatabaseOf(copy), dump);
        await replaceAsync();

        foreach (var kv in new[] { first, second })
        {
            await WaitUntil.HoldsAsync(() =>
                !kv.TryGet("lost", out _) && kv.TryGet("deleted", out _) && kv.TryGet("changed", out var value) && value.GetText() == "1");
            (await kv.GetAsync("changed")).Revision.Should().BeGreaterThan(before, "no process goes back to an older revision");
            (await kv.GetTextAsync("kept")).Should().Be("1");
        }

        await second.PutAsync("changed", "3");
        await WaitUntil.HoldsAsync(() => first.TryGet("changed", out var value) && value.GetText() == "3");
        await using var again = await KvPostgreSql.OpenAsync("KV", address);
        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(second));
    }

    private static async Task SwapAsync(PostgreSqlServer server, string database, string copy)
    {
        var (name, nameOfCopy) = (DatabaseOf(database), DatabaseOf(copy));
        await PostgreSqlServer.ExecuteAsync(server.ConnectionString, $"ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        await PostgreSqlServer.ExecuteAsync(
            server.ConnectionString, $"SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE datname IN ('{name}', '{nameOfCopy}')");
        await PostgreSqlServer.ExecuteAsync(server.ConnectionString, $"ALTER DATABASE {name} RENAME TO {name}_old");
        await PostgreSqlServer.ExecuteAsync(server.ConnectionString, $"ALTER DATABASE {nameOfCopy} RENAME TO {name}");
    }

    private static string DatabaseOf(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString).Database!;
}
