using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>Servers that speak the protocol of PostgreSQL and lack what the feed needs are refused when a namespace is opened.</summary>
public sealed class ServerKindTests
{
    private const string Cockroach = "CockroachDB CCL v24.1.0 (x86_64-pc-linux-gnu, built 2024/05/15 21:28:29, go1.22.2 X:nocoverageredesign)";
    private const string Yugabyte = "PostgreSQL 11.2-YB-2.21.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang version 17.0.6, 64-bit";
    private const string NewerYugabyte = "PostgreSQL 15.2-YB-2.25.0.0-b489 on x86_64-pc-linux-gnu, compiled by clang version 19.1.0, 64-bit";

    [Theory]
    [InlineData(Cockroach, 130000, false, "CockroachDB")]
    [InlineData(Yugabyte, 110002, false, "YugabyteDB")]
    [InlineData(NewerYugabyte, 150002, true, "YugabyteDB")]
    [InlineData("PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.12103", 80002, false, "PostgreSQL 8")]
    [InlineData("PostgreSQL 12.18 on x86_64-pc-linux-gnu", 120018, true, "PostgreSQL 12")]
    [InlineData("PostgreSQL 15.1 (something else)", 150001, false, "pg_visible_in_snapshot")]
    public void Server_that_lacks_what_the_feed_needs_is_refused(string version, int number, bool hasSnapshots, string named) =>
        ServerKind.Refusal(version, number, hasSnapshots).Should().Contain(named).And.Contain("PostgreSQL 13 or later");

    [Theory]
    [InlineData("PostgreSQL 13.0 on x86_64-pc-linux-gnu", 130000)]
    [InlineData("PostgreSQL 16.3 (Debian 16.3-1.pgdg120+1) on aarch64-unknown-linux-gnu", 160003)]
    [InlineData("PostgreSQL 15.4 on x86_64-pc-linux-gnu, compiled by x86_64-pc-linux-gnu-gcc (GCC) 9.5.0, 64-bit", 150004)]
    [InlineData("PostgreSQL 18.0 on x86_64-pc-linux-gnu", 180000)]
    public void PostgreSQL_from_13_on_is_not_refused(string version, int number) =>
        ServerKind.Refusal(version, number, hasSnapshots: true).Should().BeNull();

    [RealPartTheory(RealPart.PostgreSql)]
    [InlineData(Cockroach, "CockroachDB")]
    [InlineData(NewerYugabyte, "YugabyteDB")]
    public async Task Product_that_lacks_other_functions_too_is_named_all_the_same(string version, string named) =>
        (await RefusalOfAsync(
            $"""
            CREATE FUNCTION pretended.version() RETURNS text LANGUAGE sql AS $f$ SELECT '{version}' $f$;
            CREATE FUNCTION pretended.current_setting(text) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RAISE 'unknown function'; END $f$;
            CREATE FUNCTION pretended.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN RAISE 'unknown function'; END $f$
            """)).Should().Contain(named).And.Contain("PostgreSQL 13 or later");

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Server_older_than_13_is_refused_when_it_is_opened() =>
        (await RefusalOfAsync("CREATE FUNCTION pretended.current_setting(text) RETURNS text LANGUAGE sql AS $f$ SELECT '120022' $f$"))
            .Should().Contain("PostgreSQL 12").And.Contain("PostgreSQL 13 or later");

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Server_without_the_function_for_snapshots_is_refused_when_it_is_opened() =>
        (await RefusalOfAsync("SET allow_system_table_mods = on; UPDATE pg_proc SET proname = 'renamed' WHERE proname = 'pg_visible_in_snapshot'"))
            .Should().Contain("pg_visible_in_snapshot").And.Contain("PostgreSQL 13 or later");

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Standby_is_refused_with_the_setting_that_finds_the_primary() =>
        (await RefusalOfAsync("CREATE FUNCTION pretended.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS $f$ SELECT true $f$"))
            .Should().Contain("standby").And.Contain("Target Session Attributes=primary");

    // A database of its own whose functions pretend that the server is another one.
    private static async Task<string> RefusalOfAsync(string statements)
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await PostgreSqlServer.ExecuteAsync(database, $"CREATE SCHEMA pretended; {statements}");
        var pretending = new NpgsqlConnectionStringBuilder(database) { SearchPath = "pretended, pg_catalog" }.ConnectionString;
        var open = () => KvPostgreSql.OpenAsync("KV", pretending).AsTask();
        var message = (await open.Should().ThrowAsync<KvPersistenceException>()).Which.Message;
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT to_regnamespace('kvstore') IS NULL")).Should().Be(true, "nothing may be created on a server that is refused");
        return message;
    }
}
