using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Calls that put so many entries that they are copied into the table.</summary>
public sealed class ManyPutsTests
{
    private const int Many = 3000;

    [RealPartFact(RealPart.PostgreSql)]
    public async Task New_entries_get_revisions_in_their_order_and_reach_other_processes()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var keys = Enumerable.Range(0, Many).Select(static i => $"{i * 7919 % Many:D4}").ToArray();
        await shared[0].PutManyAsync([.. keys.Select(static key => new KvEntry(key, $"value of {key}"))]);

        var revisions = keys.Select(key => shared[0].TryGet(key, out var value) ? value.Revision : 0).ToArray();
        revisions.Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
        revisions[0].Should().BePositive();
        await WaitUntil.HoldsAsync(() => shared[1].Count == Many);
        await shared.ShouldConvergeAsync();
        (await shared[1].GetTextAsync("0042")).Should().Be("value of 0042");
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Every_part_of_an_entry_is_kept()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1, new KvPostgreSqlOptions { LargeValueBytes = 100_000 });
        var bytes = new byte[99_999];
        Random.Shared.NextBytes(bytes);
        var expiration = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 100_000);
        KvEntry[] special =
        [
            new("empty", ReadOnlyMemory<byte>.Empty),
            new("é😀\0", "text with \0 and é😀", new KvPutOptions { Metadata = KvMetadata.FromJson("""{"a":"é"}""") }),
            new("long", bytes),
            new("ends", "v", new KvPutOptions { Expiration = expiration }),
        ];
        await shared[0].PutManyAsync([.. special, .. Enumerable.Range(0, Many).Select(static i => new KvEntry($"{i:D4}", "v"))]);

        var reopened = await shared.AddAsync();
        foreach (var kv in new[] { shared[0], reopened })
        {
            (await kv.GetAsync("empty")).GetBytes().ToArray().Should().BeEmpty();
            var text = await kv.GetAsync("é😀\0");
            text.GetText().Should().Be("text with \0 and é😀");
            text.Metadata.ToString().Should().Be("""{"a":"é"}""");
            (await kv.GetAsync("long")).GetBytes().ToArray().Should().Equal(bytes);
            (await kv.GetAsync("ends")).Expiration.Should().Be(expiration);
        }

        await shared.ShouldConvergeAsync();
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Known_deleted_and_new_keys_of_one_call_get_revisions_in_their_order()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var keys = Enumerable.Range(0, Many).Select(static i => $"{i:D4}").ToArray();
        await shared[0].PutManyAsync([.. keys.Where(static (_, i) => i % 3 != 0).Select(static key => new KvEntry(key, "old"))]);
        await shared[0].DeleteManyAsync([.. keys.Where(static (_, i) => i % 3 == 1)]);
        var before = (await shared[0].GetAsync(keys[2])).Revision;

        await shared[0].PutManyAsync([.. keys.Select(static key => new KvEntry(key, $"new {key}"))]);
        var revisions = keys.Select(key => shared[0].TryGet(key, out var value) ? value.Revision : 0).ToArray();
        revisions.Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
        revisions[0].Should().BeGreaterThan(before);
        await WaitUntil.HoldsAsync(() => shared[1].TryGet(keys[^1], out var value) && value.GetText() == $"new {keys[^1]}");
        await shared.ShouldConvergeAsync();
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Row_that_memory_does_not_know_is_updated()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);

        // The feed does not see these, as if another process had committed them a moment ago.
        await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            """
            INSERT INTO kvstore.entries (namespace, key, value, revision)
            SELECT (SELECT id FROM kvstore.namespaces), convert_to(lpad(i::text, 4, '0'), 'UTF8'), 'unseen', nextval('kvstore.revisions') FROM generate_series(0, 2999, 100) i
            """);
        await shared[0].PutManyAsync([.. Enumerable.Range(0, Many).Select(static i => new KvEntry($"{i:D4}", "seen"))]);

        await shared.AddAsync();
        await shared.ShouldConvergeAsync();
        shared[1].Count.Should().Be(Many);
        (await shared[1].GetTextAsync("0100")).Should().Be("seen");
        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(DISTINCT revision) FROM kvstore.entries")).Should().Be((long)Many);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Expired_entry_keeps_its_row_while_a_call_copies_entries()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var engine = new PostgreSqlEngine(NpgsqlDataSource.Create(shared.Database), ownsDataSource: true, new KvPostgreSqlOptions { SweepInterval = Timeout.InfiniteTimeSpan });
        await using var other = await KvNamespace.OpenAsync("SHARED", new KvNamespaceOptions { Engine = engine });

        // Somebody has inserted a key of the call and not committed it, so that the call waits in the middle of its keys.
        await using var connection = new NpgsqlConnection(shared.Database);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var insert = new NpgsqlCommand("INSERT INTO kvstore.entries (namespace, key, revision) SELECT id, '0100', 0 FROM kvstore.namespaces", connection))
        {
            await insert.ExecuteNonQueryAsync();
        }

        var call = shared[0].PutManyAsync([.. Enumerable.Range(0, Many).Select(static i => new KvEntry($"{i:D4}", "call"))]).AsTask();
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(*) FROM pg_locks WHERE NOT granted") is 1L);

        // A key behind it gets a higher revision meanwhile, and expires.
        await other.PutAsync("0200", "short", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await PostgreSqlServer.ExecuteAsync(shared.Database, "UPDATE kvstore.entries SET expires = 10 WHERE key = '0200'");
        await engine.Sweeper.SweepAsync(CancellationToken.None);
        await transaction.RollbackAsync();
        await call;

        await WaitUntil.HoldsAsync(() => other.Count == Many);
        shared[0].TryGet("0200", out var own).Should().BeTrue();
        own.GetText().Should().Be("call");
        await WaitUntil.HoldsAsync(() => other.TryGet("0200", out var value) && value.Revision == own.Revision, "revisions of a key grow in every process");

        // Nothing is left over.
        await PostgreSqlServer.ExecuteAsync(shared.Database, "UPDATE kvstore.entries SET expires = 10 WHERE key = '0200'");
        (await engine.Sweeper.SweepAsync(CancellationToken.None)).Should().Be(1);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Expired_entries_are_removed_while_calls_that_copy_follow_one_another()
    {
        const int Expired = 5000;
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var engine = new PostgreSqlEngine(NpgsqlDataSource.Create(shared.Database), ownsDataSource: true, new KvPostgreSqlOptions { SweepInterval = Timeout.InfiniteTimeSpan });
        await using var sweeping = await KvNamespace.OpenAsync("SHARED", new KvNamespaceOptions { Engine = engine });
        await shared[0].PutManyAsync([.. Enumerable.Range(0, Expired).Select(static i => new KvEntry($"expired {i}", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) }))]);
        await PostgreSqlServer.ExecuteAsync(shared.Database, "UPDATE kvstore.entries SET expires = 10");
        using var ending = new CancellationTokenSource();
        var copying = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
        {
            while (!ending.IsCancellationRequested)
            {
                await shared[caller % 2].PutManyAsync([.. Enumerable.Range(0, 500).Select(i => new KvEntry($"{caller} {i}", "v"))], CancellationToken.None);
            }
        })).ToArray();

        // All or, on a slow machine, nothing: only the beginning of a sweep waits for such a call.
        var removed = 0L;
        await WaitUntil.HoldsAsync(async () => (removed = await engine.Sweeper.SweepAsync(CancellationToken.None)) > 0);
        removed.Should().Be(Expired);
        await ending.CancelAsync();
        await Task.WhenAll(copying);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Last_of_equal_keys_wins_and_conditional_writes_beside_the_call_are_checked()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var kv = shared[0];
        var held = await kv.TryPutAsync("held", "1", KvCondition.Absent);
        var many = kv.PutManyAsync([.. Enumerable.Range(0, Many).Select(static i => new KvEntry($"{i % 1000:D4}", $"{i}"))]).AsTask();
        var refused = kv.TryPutAsync("held", "2", KvCondition.Absent).AsTask();
        var replaced = kv.TryPutAsync("held", "3", KvCondition.Revision(held.Revision)).AsTask();
        var deleted = kv.DeleteAsync("0007").AsTask();
        await Task.WhenAll(many, refused, replaced, deleted);

        (await refused).Succeeded.Should().BeFalse();
        (await replaced).Succeeded.Should().BeTrue();
        (await kv.GetTextAsync("0006")).Should().Be("2006");
        (await kv.GetTextAsync("0007")).Should().BeNull("the delete was called after the puts");
        await shared.AddAsync();
        await shared.ShouldConvergeAsync();
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Two_processes_that_put_the_same_keys_in_opposite_orders_converge()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var keys = Enumerable.Range(0, Many).Select(static i => $"{i:D4}").ToArray();
        for (var round = 0; round < 3; round++)
        {
            await Task.WhenAll(
                shared[0].PutManyAsync([.. keys.Select(key => new KvEntry($"{round} {key}", "first"))]).AsTask(),
                shared[1].PutManyAsync([.. keys.Reverse().Select(key => new KvEntry($"{round} {key}", "second"))]).AsTask());
        }

        await WaitUntil.HoldsAsync(() => shared[0].Count == 3 * Many && shared[1].Count == 3 * Many);
        await shared.ShouldConvergeAsync();
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Refused_call_of_several_transactions_writes_nothing_after_the_failure()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await PostgreSqlServer.ExecuteAsync(
            shared.Database, "ALTER TABLE kvstore.entries ADD CHECK (key <> convert_to('020000', 'UTF8'))");
        var entries = Enumerable.Range(0, 60_000).Select(static i => new KvEntry($"{i:D6}", "v")).ToArray();
        var put = () => shared[0].PutManyAsync(entries).AsTask();
        await put.Should().ThrowAsync<KvPersistenceException>();

        // Whole transactions, of at most 16,384 entries, were committed before.
        var written = (int)shared[0].Count;
        written.Should().BeLessThanOrEqualTo(20_000);
        (await PostgreSqlServer.ExecuteAsync(shared.Database, "SELECT count(*) FROM kvstore.entries")).Should().Be((long)written);
        entries.Take(written).Should().OnlyContain(entry => Has(shared[0], entry.Key), "nothing is written after a failure");
        await shared[0].PutAsync("afterwards", "v");
    }

    private static bool Has(KvNamespace kv, string key) => kv.TryGet(key, out _);
}
