using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>A server that runs and refuses for a while: it is read-only, or has no place for a connection. Writes wait for it.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class RefusingServerTests
{
    [Fact]
    public async Task Database_that_is_read_only_for_a_while_is_written_again_without_a_restart()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(3) });
        await kv.PutAsync("k", "v");
        await ForbidWritesAsync(database, forbidden: true);

        // The first one finds its connection closed, and cannot find out more.
        var put = () => kv.PutAsync("k", "w").AsTask();
        await put.Should().ThrowAsync<KvPersistenceException>();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*could not be written to*read-only transaction*Nothing was written*");
        var large = () => kv.PutAsync("large", new byte[300_000]).AsTask();
        (await large.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*read-only transaction*Nothing was written*");
        kv.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("v");

        // The connections that were opened meanwhile stay read-only, so other ones are needed.
        await ForbidWritesAsync(database, forbidden: false);
        await kv.PutAsync("k", "x");
        await kv.PutAsync("large", new byte[300_000]);
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Write_waits_for_a_server_that_has_no_place_for_its_connection()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var user = $"u{Guid.NewGuid():N}";
        await PostgreSqlServer.ExecuteAsync(database, $"CREATE USER {user}; GRANT CREATE ON DATABASE {DatabaseOf(database)} TO {user}");
        await using var kv = await KvPostgreSql.OpenAsync(
            "KV", database.Replace("Username=postgres", $"Username={user}", StringComparison.Ordinal), new KvPostgreSqlOptions { WriteTimeout = TimeSpan.FromSeconds(60) });
        await kv.PutAsync("k", "v");
        await PostgreSqlServer.ExecuteAsync(database, $"ALTER USER {user} CONNECTION LIMIT 0; {EndSessions(user)}");

        var put = kv.PutAsync("k", "w").AsTask();
        await WaitUntil.HoldsAsync(() => kv.Health.Reason?.Contains("53300", StringComparison.Ordinal) == true || put.IsCompleted);
        put.IsCompleted.Should().BeFalse("it waits");
        await PostgreSqlServer.ExecuteAsync(database, $"ALTER USER {user} CONNECTION LIMIT -1");
        await put;
        kv.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("w");
    }

    private static Task ForbidWritesAsync(string database, bool forbidden) => PostgreSqlServer.ExecuteAsync(
        $"{database};Options=-c default_transaction_read_only=off;Pooling=false",
        $"ALTER DATABASE {DatabaseOf(database)} SET default_transaction_read_only = {(forbidden ? "on" : "off")}; {(forbidden ? EndSessions("postgres") : "")}");

    private static string EndSessions(string user) =>
        $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND usename = '{user}' AND pid <> pg_backend_pid()";

    private static string DatabaseOf(string connectionString) => new Npgsql.NpgsqlConnectionStringBuilder(connectionString).Database!;
}
