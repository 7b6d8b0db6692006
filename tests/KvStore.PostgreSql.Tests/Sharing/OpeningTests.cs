using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Sharing;

/// <summary>What a process finds in the database when it opens a namespace.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class OpeningTests
{
    [Fact]
    public async Task Entries_of_every_kind_are_there_after_opening()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var writer = shared[0];
        var values = new[] { 0, 1, 8000, 100_000, 262_143, 262_144, 1_000_000 }.ToDictionary(static length => $"value {length}", static length =>
        {
            var value = new byte[length];
            new Random(length).NextBytes(value);
            return value;
        });
        foreach (var (key, value) in values)
        {
            await writer.PutAsync(key, value);
        }

        var longest = new string('k', 510) + "é";
        await writer.PutAsync(longest, "v", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"a\":1}"), ExpirationTtl = TimeSpan.FromHours(1) });
        await writer.PutAsync("\0 😀", "text");
        await writer.PutAsync("deleted", "v");
        await writer.DeleteAsync("deleted");
        await writer.PutManyAsync(Enumerable.Range(0, 5000).Select(static i => new KvEntry($"many {i:d4}", $"{i}")).ToArray());

        var opened = await shared.AddAsync();

        (await SharedNamespaces.StateOf(opened)).Should().Equal(await SharedNamespaces.StateOf(writer)).And.HaveCount(values.Count + 5002);
        foreach (var (key, value) in values)
        {
            (await opened.GetBytesAsync(key))!.Value.ToArray().Should().Equal(value);
        }

        (await opened.GetAsync(longest)).Expiration.Should().Be((await writer.GetAsync(longest)).Expiration).And.BeAfter(DateTimeOffset.UtcNow);
        opened.TryGet("deleted", out _).Should().BeFalse();
    }

    [Theory]
    [InlineData("(''::bytea, 5)", "a key of 0 bytes")]
    [InlineData("(convert_to(repeat('k', 4096), 'UTF8'), 5)", "a key of 4096 bytes")]
    [InlineData("('k'::bytea, 0)", "the revision 0")]
    public async Task Row_that_no_process_has_written_is_refused(string row, string message)
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await shared[0].PutManyAsync(Enumerable.Range(0, 5000).Select(static i => new KvEntry($"many {i:d4}", $"{i}")).ToArray());
        await PostgreSqlServer.ExecuteAsync(
            shared.Database, $"INSERT INTO kvstore.entries (namespace, key, revision) SELECT n.id, r.key, r.revision FROM kvstore.namespaces n, (VALUES {row}) AS r (key, revision)");

        await FluentActions.Awaiting(() => shared.AddAsync()).Should().ThrowAsync<KvPersistenceException>().WithMessage($"*kvstore.entries*{message}*");

        await PostgreSqlServer.ExecuteAsync(shared.Database, "DELETE FROM kvstore.entries WHERE key = '' OR octet_length(key) > 4000 OR revision = 0");
        (await SharedNamespaces.StateOf(await shared.AddAsync())).Should().HaveCount(5000);
    }

    [Fact]
    public async Task Statistics_of_the_table_change_nothing_of_what_is_loaded()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await shared[0].PutManyAsync(Enumerable.Range(0, 2000).Select(static i => new KvEntry($"many {i:d4}", $"{i}")).ToArray());
        await PostgreSqlServer.ExecuteAsync(shared.Database, "ANALYZE kvstore.entries");
        await using (var other = await KvPostgreSql.OpenAsync("OTHER", shared.Database))
        {
            // It has no entries, so it takes no memory for those of its neighbour.
            other.MemoryBytes.Should().BeLessThan((await shared.AddAsync()).MemoryBytes / 2);
        }

        (await SharedNamespaces.StateOf(shared[1])).Should().Equal(await SharedNamespaces.StateOf(shared[0]));
    }

    [Fact]
    public async Task Reading_of_everything_ends_early_when_it_is_cancelled()
    {
        const int Entries = 20_000;
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await shared[0].PutManyAsync(Enumerable.Range(0, Entries).Select(static i => new KvEntry($"many {i:d5}", "v")).ToArray());
        var number = (int)(await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT id FROM kvstore.namespaces"))!;
        await using var dataSource = NpgsqlDataSource.Create(shared.Database);
        await using var link = new Link(dataSource);
        var source = new PostgreSqlFeedSource(link, "kvstore", number, new DatabaseClock(TimeProvider.System), TimeProvider.System, static () => { });
        using var cancellation = new CancellationTokenSource();
        var shown = 0;
        Action<byte[], long> show = (_, _) =>
        {
            if (++shown == 100)
            {
                cancellation.Cancel();
            }
        };

        await FluentActions.Awaiting(() => source.CompareAsync(show, cancellation.Token).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        shown.Should().BeInRange(100, Entries / 2);

        (await source.CompareAsync(show, CancellationToken.None)).Entries.Should().Be(Entries);
    }
}
