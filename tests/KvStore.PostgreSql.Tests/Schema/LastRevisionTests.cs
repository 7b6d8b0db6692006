using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>The last revision that was given, read while others take revisions.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class LastRevisionTests
{
    [Fact]
    public async Task Last_revision_that_is_read_while_others_are_taken_does_not_fall()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);

        // Each 33rd one is logged, and shows for a moment what the log says.
        var taking = Enumerable.Range(0, 2).Select(_ => PostgreSqlServer.ExecuteAsync(
            shared.Database, "SELECT count(nextval('kvstore.revisions')) FROM generate_series(1, 2000000)")).ToArray();
        await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            $"""
            DO 'DECLARE before bigint := 0; last bigint; BEGIN
                FOR i IN 1..300000 LOOP
                    SELECT {LastRevision.Of("kvstore").Replace("'", "''", StringComparison.Ordinal)} INTO last;
                    IF last < before THEN RAISE EXCEPTION ''% after %'', last, before; END IF;
                    before := last;
                END LOOP;
            END'
            """);
        await Task.WhenAll(taking);
    }

    [Fact]
    public async Task Last_revision_of_a_sequence_that_was_restarted_is_where_it_begins()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        (await ReadAsync()).Should().BeGreaterThan(12345);
        await PostgreSqlServer.ExecuteAsync(shared.Database, "ALTER SEQUENCE kvstore.revisions RESTART WITH 12345");
        (await ReadAsync()).Should().Be(12345);
        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT nextval('kvstore.revisions')")).Should().Be(12345L);
        (await ReadAsync()).Should().Be(12345);

        async Task<long> ReadAsync() => (long)(await PostgreSqlServer.ExecuteAsync(shared.Database, $"SELECT {LastRevision.Of("kvstore")}"))!;
    }
}
