using System.Collections.Concurrent;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>The primary is killed and its standby takes over: processes with a data source of both hosts go on by themselves.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class PromotionTests : IAsyncLifetime
{
    private static readonly KvPostgreSqlOptions s_options = new() { WriteTimeout = TimeSpan.FromSeconds(60) };

    private readonly List<NpgsqlDataSource> _sources = [];
    private PostgreSqlServer _primary = null!;
    private PostgreSqlServer _standby = null!;
    private CuttingProxy _replication = null!;

    public async Task InitializeAsync()
    {
        _primary = await PostgreSqlServer.StartNewAsync(hasStandby: true);
        _replication = new CuttingProxy(_primary.Socket);
        _standby = await _primary.StartStandbyAsync($"host=127.0.0.1 port={_replication.Port} user=postgres sslmode=disable gssencmode=disable");
    }

    public async Task DisposeAsync()
    {
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }

        await _replication.DisposeAsync();
        await _standby.DisposeAsync();
        await _primary.DisposeAsync();
    }

    [Fact]
    public async Task Synchronous_standby_that_takes_over_has_every_acknowledged_write()
    {
        await using var writer = await OpenAsync();
        await using var reader = await OpenAsync();
        await WaitUntilStreamedAsync();
        await PostgreSqlServer.ExecuteAsync(_primary.ConnectionString, "ALTER SYSTEM SET synchronous_standby_names = '*'");
        await PostgreSqlServer.ExecuteAsync(_primary.ConnectionString, "SELECT pg_reload_conf()");
        await WaitUntil.HoldsAsync(async () => (string)(await PostgreSqlServer.ExecuteAsync(
            _primary.ConnectionString, "SELECT coalesce(min(sync_state), '') FROM pg_stat_replication"))! == "sync");
        var acknowledged = new ConcurrentDictionary<string, int>(StringComparer.Ordinal);
        using var ending = new CancellationTokenSource();
        var writing = Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var kv = worker % 2 == 0 ? writer : reader;
            for (var i = 1; !ending.IsCancellationRequested; i++)
            {
                await kv.PutAsync($"k{worker}", $"{i}");
                acknowledged[$"k{worker}"] = i;
                await kv.IncrementAsync("n");
                acknowledged.AddOrUpdate("n", 1, (_, n) => n + 1);
            }
        })));
        await ProgressAsync();
        _primary.Kill();
        await _standby.PromoteAsync();
        await ProgressAsync();
        await ending.CancelAsync();
        await writing;

        foreach (var kv in new[] { writer, reader })
        {
            await WaitUntil.HoldsAsync(() => acknowledged.All(pair => kv.TryGet(pair.Key, out var value) && value.GetText() == $"{pair.Value}"));
        }

        await using var again = await OpenAsync();
        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(writer));

        async Task ProgressAsync()
        {
            var before = acknowledged.GetValueOrDefault("n");
            await WaitUntil.HoldsAsync(() => acknowledged.GetValueOrDefault("n") > before + 30 || writing.IsCompleted);
        }
    }

    [Fact]
    public async Task Standby_that_lacks_the_last_writes_takes_over_and_all_processes_follow_it()
    {
        await using var writer = await OpenAsync();
        await using var reader = await OpenAsync();
        await writer.PutManyAsync([new KvEntry("kept", "1"), new KvEntry("changed", "1"), new KvEntry("deleted", "1")]);
        await WaitUntilStreamedAsync();
        _replication.Refuses = true;
        _replication.Cut();
        await writer.PutManyAsync([new KvEntry("changed", "2"), new KvEntry("lost", "1")]);
        await writer.DeleteAsync("deleted");
        await writer.PutAsync("lost large", new byte[300_000]);
        await WaitUntil.HoldsAsync(() => reader.TryGet("lost", out _) && !reader.TryGet("deleted", out _));
        var before = (await reader.GetAsync("changed")).Revision;

        _primary.Kill();
        await _standby.PromoteAsync();

        foreach (var kv in new[] { writer, reader })
        {
            await WaitUntil.HoldsAsync(() =>
                !kv.TryGet("lost", out _) && kv.TryGet("deleted", out _) && kv.TryGet("changed", out var value) && value.GetText() == "1");
            (await kv.GetAsync("changed")).Revision.Should().BeGreaterThan(before, "no process goes back to an older revision");
            (await kv.GetTextAsync("kept")).Should().Be("1");
            (await kv.GetBytesAsync("lost large")).Should().BeNull();
        }

        (await writer.TryPutAsync("changed", "3", KvCondition.Revision((await writer.GetAsync("changed")).Revision))).Succeeded.Should().BeTrue();
        await reader.PutAsync("lost large", new byte[400_000]);
        await WaitUntil.HoldsAsync(() => reader.TryGet("changed", out var value) && value.GetText() == "3" && writer.TryGet("lost large", out _));
        (await writer.GetBytesAsync("lost large"))!.Value.Length.Should().Be(400_000);
        await using var again = await OpenAsync();
        (await SharedNamespaces.StateOf(again)).Should().Equal(await SharedNamespaces.StateOf(writer));
        writer.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Large_value_whose_first_parts_are_lost_in_a_failover_is_refused()
    {
        await using var kv = await OpenAsync();
        await kv.PutAsync("large", new byte[1_000_000]);
        await WaitUntilStreamedAsync();
        _replication.Refuses = true;
        _replication.Cut();
        var pipe = new System.IO.Pipelines.Pipe(new System.IO.Pipelines.PipeOptions(pauseWriterThreshold: 0));
        var put = kv.PutAsync("large", pipe.Reader.AsStream()).AsTask();
        await pipe.Writer.WriteAsync(new byte[600_000]);
        await WaitUntil.HoldsAsync(async () => put.IsCompleted || await PostgreSqlServer.ExecuteAsync(
            _primary.ConnectionString, "SELECT count(*) FROM kvstore.large_values") is 6L, "the old value has four parts, and two of the new one are there");
        put.IsCompleted.Should().BeFalse();

        _primary.Kill();
        await _standby.PromoteAsync();
        await pipe.Writer.WriteAsync(new byte[600_000]);
        await pipe.Writer.CompleteAsync();

        await put.Invoking(p => p).Should().ThrowAsync<KvPersistenceException>().WithMessage("*0 of the 2 parts*Nothing was written*");
        (await kv.GetBytesAsync("large"))!.Value.Length.Should().Be(1_000_000, "the old value is there");
        await kv.PutAsync("large", new byte[1_200_000]);
        (await kv.GetBytesAsync("large"))!.Value.Length.Should().Be(1_200_000);
    }

    [Fact]
    public async Task Large_value_that_is_lost_in_a_failover_before_its_entry_is_committed_is_refused()
    {
        await using var kv = await OpenAsync();
        await kv.PutManyAsync([new KvEntry("large", "old"), new KvEntry("blocked", "1")]);
        await WaitUntilStreamedAsync();
        _replication.Refuses = true;
        _replication.Cut();

        // The entry waits behind a write that waits for a lock.
        await using var blocking = new NpgsqlConnection($"{_primary.ConnectionString};Pooling=false");
        await blocking.OpenAsync();
        await using (var command = new NpgsqlCommand("BEGIN; SELECT 1 FROM kvstore.entries FOR UPDATE", blocking))
        {
            await command.ExecuteNonQueryAsync();
        }

        var blocked = kv.PutAsync("blocked", "2").AsTask();
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(
            _primary.ConnectionString, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") is 1L);
        var put = kv.PutAsync("large", new byte[1_000_000]).AsTask();
        var other = kv.PutAsync("other", "v").AsTask();
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(_primary.ConnectionString, "SELECT count(*) FROM kvstore.large_values") is 4L);

        _primary.Kill();
        await _standby.PromoteAsync();

        // Which message depends on whether the answer about the last part came in time.
        await put.Invoking(p => p).Should().ThrowAsync<KvPersistenceException>().WithMessage("*parts*Nothing was written*");
        await blocked;
        await other;
        (await kv.GetTextAsync("large")).Should().Be("old");
        (await kv.GetTextAsync("blocked")).Should().Be("2");
        await kv.PutAsync("large", new byte[1_000_000]);
        await using var again = await OpenAsync();
        (await again.GetBytesAsync("large"))!.Value.Length.Should().Be(1_000_000);
    }

    private async Task<KvNamespace> OpenAsync()
    {
        // Both hosts, each time asked anew which one is the primary.
        var source = new NpgsqlDataSourceBuilder(
            $"Host={_primary.Host},{_standby.Host};Port=5432;Username=postgres;Database=postgres;Timeout=5;Host Recheck Seconds=0").BuildMultiHost();
        _sources.Add(source);
        return await KvPostgreSql.OpenAsync("KV", source.WithTargetSession(TargetSessionAttributes.Primary), s_options);
    }

    private async Task WaitUntilStreamedAsync()
    {
        var position = await PostgreSqlServer.ExecuteAsync(_primary.ConnectionString, "SELECT pg_current_wal_lsn()::text");
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(
            _primary.ConnectionString, $"SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= '{position}'") is 1L);
    }
}
