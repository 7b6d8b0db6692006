using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Schema;

public sealed class SetupTests
{
    [RealPartFact(RealPart.PostgreSql)]
    public async Task Processes_that_open_an_empty_database_at_once_all_succeed()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var opened = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => KvPostgreSql.OpenAsync($"KV{i % 2}", database).AsTask()));
        await opened[0].PutAsync("k", "v");
        foreach (var kv in opened)
        {
            await kv.DisposeAsync();
        }

        await using var again = await KvPostgreSql.OpenAsync("KV0", database);
        again.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("v");
        await using var other = await KvPostgreSql.OpenAsync("KV1", database);
        other.Count.Should().Be(0);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Script_that_runs_again_changes_nothing()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var script = KvPostgreSql.Script("limited");
        await PostgreSqlServer.ExecuteAsync(database, script);
        var options = new KvPostgreSqlOptions { Schema = "limited", CreateSchema = false };
        await using (var kv = await KvPostgreSql.OpenAsync("KV", database, options))
        {
            await kv.PutAsync("k", "v");
        }

        await PostgreSqlServer.ExecuteAsync(database, script);
        await using var again = await KvPostgreSql.OpenAsync("KV", database, options);
        (await again.GetTextAsync("k")).Should().Be("v");
        again.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task User_who_may_create_a_schema_creates_the_tables_and_owns_them()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var limited = new Npgsql.NpgsqlConnectionStringBuilder(database) { Username = $"u{Guid.NewGuid():N}" };
        await PostgreSqlServer.ExecuteAsync(
            database,
            $"CREATE USER {limited.Username}; REVOKE ALL ON DATABASE {limited.Database} FROM PUBLIC; GRANT CREATE, CONNECT ON DATABASE {limited.Database} TO {limited.Username}");
        await using var life = new WholeLife(database, limited.ConnectionString) { CreatesSchema = true };
        await life.LiveAsync();
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Missing_tables_that_may_not_be_created_are_refused_with_the_remedy()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        var user = $"u{Guid.NewGuid():N}";
        await PostgreSqlServer.ExecuteAsync(database, $"CREATE USER {user}");

        var forbidden = () => KvPostgreSql.OpenAsync("KV", database, new KvPostgreSqlOptions { CreateSchema = false }).AsTask();
        (await forbidden.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*KvPostgreSql.Script()*");

        var limited = database.Replace("Username=postgres", $"Username={user}", StringComparison.Ordinal);
        var denied = () => KvPostgreSql.OpenAsync("KV", limited).AsTask();
        (await denied.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*may not create them*KvPostgreSql.Script()*");
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Tables_of_another_version_are_refused()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await PostgreSqlServer.ExecuteAsync(database, $"{KvPostgreSql.Script()}; UPDATE kvstore.meta SET version = 99");
        var open = () => KvPostgreSql.OpenAsync("KV", database).AsTask();
        (await open.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*version 99*uses version 3*");
    }

    [Fact]
    public async Task Database_that_does_not_answer_is_named_as_the_cause()
    {
        var open = () => KvPostgreSql.OpenAsync("KV", "Host=127.0.0.1;Port=1;Username=u;Password=secret;Timeout=2").AsTask();
        (await open.Should().ThrowAsync<KvPersistenceException>()).Which.Message.Should().Contain("KV").And.NotContain("secret");
    }
}
