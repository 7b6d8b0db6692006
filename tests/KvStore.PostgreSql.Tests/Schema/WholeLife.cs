using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Schema;

/// <summary>Everything that a namespace ever asks of the database, as a user with few rights. An administrator makes time pass.</summary>
internal sealed class WholeLife(string administrator, string limited) : IAsyncDisposable
{
    // Only notifications bring the writes of the other process in time.
    private static readonly KvPostgreSqlOptions s_options = new()
    {
        CreateSchema = false,
        PollInterval = TimeSpan.FromSeconds(10),
        StalenessMax = TimeSpan.FromSeconds(1),
        SweepInterval = Timeout.InfiniteTimeSpan,
        LargeValueBytes = 1024,
        WriteTimeout = TimeSpan.FromSeconds(5),
    };

    private readonly string _name = $"LIFE {Guid.NewGuid()}";
    private readonly List<KvNamespace> _opened = [];

    /// <summary>Whether the tables are created when they are not there.</summary>
    public bool CreatesSchema { get; init; }

    private KvPostgreSqlOptions Options => s_options with { CreateSchema = CreatesSchema };

    /// <summary>Lives it.</summary>
    /// <exception cref="Exception">The first thing that failed.</exception>
    public async Task LiveAsync()
    {
        var engine = new PostgreSqlEngine(NpgsqlDataSource.Create(limited), ownsDataSource: true, Options with { PollInterval = TimeSpan.FromMilliseconds(10) });
        var kv = await OpenAsync(engine);
        var other = await OpenAsync(new PostgreSqlEngine(NpgsqlDataSource.Create(limited), ownsDataSource: true, Options));
        await WriteAsync(kv);
        await WaitUntil.HoldsAsync(() => other.TryGet("told", out _), "a notification tells of it");
        await LoseConnectionsAsync(kv);
        await SweepAsync(engine);
        await ResyncAsync(kv, engine);

        await kv.DisposeAsync();
        var again = await OpenAsync(new PostgreSqlEngine(NpgsqlDataSource.Create(limited), ownsDataSource: true, Options));
        (await again.GetTextAsync("kept")).Should().Be("v");
        (await again.GetBytesAsync("large"))!.Value.Length.Should().Be(2000);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var kv in _opened)
        {
            await kv.DisposeAsync();
        }
    }

    private static async Task WriteAsync(KvNamespace kv)
    {
        await kv.PutAsync("kept", "v");
        await kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1), Metadata = KvMetadata.FromJson("1") });
        await kv.PutManyAsync([new KvEntry("m/1", "v"), new KvEntry("m/2", "v"), new KvEntry("m/3", "v")]);
        await kv.PutManyAsync([.. Enumerable.Range(0, 1000).Select(static i => new KvEntry($"m/{i}", "v"))]);
        (await kv.TryPutAsync("created", "v", KvCondition.Absent)).Succeeded.Should().BeTrue();
        (await kv.TryPutAsync("created", "w", KvCondition.Present)).Succeeded.Should().BeTrue();
        (await kv.TouchAsync("k", TimeSpan.FromMinutes(2))).Should().BeTrue();
        await kv.IncrementAsync("n");
        await kv.PutAsync("large", new byte[2000]);
        await kv.PutAsync("replaced", new MemoryStream(new byte[2000]));
        (await kv.GetBytesAsync("large"))!.Value.Length.Should().Be(2000);
        await kv.PutAsync("replaced", "small");
        (await kv.TryDeleteAsync("created", KvCondition.Present)).Succeeded.Should().BeTrue();
        (await kv.DeleteManyAsync(["m/1"])).Should().Be(1);
        (await kv.DeletePrefixAsync("m/")).Should().Be(999);
        await kv.PutAsync("told", "v");
    }

    // The next write finds out first whether it was committed.
    private async Task LoseConnectionsAsync(KvNamespace kv)
    {
        var user = new NpgsqlConnectionStringBuilder(limited).Username;
        await ExecuteAsync($"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{user}'");
        await kv.PutAsync("after", "v");
    }

    // Hours later. The first sweep says that changes will be removed, the second one removes them. A sweep empties the next three
    // partitions, of which the second one is among them also when the next one becomes the present one meanwhile.
    private async Task SweepAsync(PostgreSqlEngine engine)
    {
        await ExecuteAsync(
            $"""
            UPDATE kvstore.entries SET expires = 10 WHERE expires IS NOT NULL;
            UPDATE kvstore.entries SET deleted_at = now() - interval '2 hours' WHERE deleted_at IS NOT NULL;
            UPDATE kvstore.commits SET at = now() - interval '2 hours';
            UPDATE kvstore.large_values SET at = now() - interval '2 hours';
            UPDATE kvstore.changes SET slot = (floor(extract(epoch FROM now()) / {SchemaScript.SlotSeconds})::bigint + 2) % {SchemaScript.Slots}
            """);
        await engine.Sweeper.SweepAsync(CancellationToken.None);
        await ExecuteAsync("UPDATE kvstore.large_values SET unreferenced_since = now() - interval '1 hour' WHERE unreferenced_since IS NOT NULL");
        await engine.Sweeper.SweepAsync(CancellationToken.None);
        (await ExecuteAsync(
            """
            SELECT concat_ws(' ',
                (SELECT count(*) FROM kvstore.entries WHERE expires IS NOT NULL OR deleted_at IS NOT NULL AND deleted_at < now() - interval '1 hour'),
                (SELECT count(*) FROM kvstore.commits WHERE at < now() - interval '1 hour'),
                (SELECT count(*) FROM kvstore.large_values v WHERE NOT EXISTS (SELECT 1 FROM kvstore.entries e WHERE e.large = v.id)),
                (SELECT count(*) FROM kvstore.changes WHERE xid < (SELECT changes_floor FROM kvstore.meta)))
            """)).Should().Be("0 0 0 0");
    }

    // As after a failover that has lost the last write.
    private async Task ResyncAsync(KvNamespace kv, PostgreSqlEngine engine)
    {
        await kv.PutAsync("kept", "v");
        var before = (await kv.GetAsync("kept")).Revision;
        var resyncs = engine.Resyncs;
        await ExecuteAsync(
            """
            UPDATE kvstore.entries SET revision = revision - 1 WHERE key = 'kept';
            UPDATE kvstore.meta SET epoch = gen_random_uuid()
            """);
        await WaitUntil.HoldsAsync(() => engine.Resyncs > resyncs || IsDenied());
        if (engine.Resyncs == resyncs)
        {
            throw new KvPersistenceException(engine.Health.Reason!);
        }

        (await kv.GetAsync("kept")).Revision.Should().BeGreaterThan(before);

        bool IsDenied() => engine.Health.Reason?.Contains("permission denied", StringComparison.Ordinal) == true;
    }

    private async Task<KvNamespace> OpenAsync(PostgreSqlEngine engine)
    {
        try
        {
            var kv = await KvNamespace.OpenAsync(_name, new KvNamespaceOptions { Engine = engine });
            _opened.Add(kv);
            return kv;
        }
        catch
        {
            await engine.DisposeAsync();
            throw;
        }
    }

    private Task<object?> ExecuteAsync(string statements) => PostgreSqlServer.ExecuteAsync(administrator, statements);
}
