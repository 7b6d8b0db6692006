using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>
/// What is read over connections whose other end is gone without a word comes over other connections, within seconds.
/// </summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class HalfOpenReadTests
{
    private static readonly KvPostgreSqlOptions s_options = new() { WriteTimeout = TimeSpan.FromSeconds(10) };

    [Fact]
    public async Task Listener_notices_that_its_connection_is_half_open()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        var options = s_options with { PollInterval = TimeSpan.FromSeconds(60) };
        await using var kv = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, CuttingProxy.NoTimeouts), options);
        await using var other = await KvPostgreSql.OpenAsync("KV", database, options);
        await WaitUntil.HoldsAsync(async () => await ListenersAsync() == 2);
        proxy.HalfOpen();
        await WaitUntil.HoldsAsync(async () => await ListenersAsync() >= 3, "it listens over another connection; the server knows nothing of the end of the first one");

        await other.PutAsync("k", "v");
        await WaitUntil.HoldsAsync(() => kv.TryGet("k", out _));

        // It has asked LISTEN last, or whether the connection is alive.
        async Task<long> ListenersAsync() => (long)(await PostgreSqlServer.ExecuteAsync(
            database, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^(LISTEN|SELECT 1$)'"))!;
    }

    [Fact]
    public async Task Large_values_are_written_and_read_over_another_connection()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        var options = s_options with { UseNotifications = false };
        await using var kv = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, CuttingProxy.NoTimeouts), options);
        var bytes = new byte[700_000];
        new Random(7).NextBytes(bytes);
        await kv.PutAsync("first", bytes);
        (await kv.GetBytesAsync("first"))!.Value.ToArray().Should().Equal(bytes);

        // The pool has a connection that the last read has used.
        proxy.HalfOpen();
        var reading = kv.GetBytesAsync("first").AsTask();
        var writing = kv.PutAsync("second", bytes).AsTask();
        (await reading)!.Value.ToArray().Should().Equal(bytes);
        await writing;
        await using var other = await KvPostgreSql.OpenAsync("KV", database, options);
        (await other.GetBytesAsync("second"))!.Value.ToArray().Should().Equal(bytes);
    }
}
