using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>
/// A network that accepts connections and swallows everything: writes fail in time, reads go on, and nothing has to be started again.
/// </summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class SwallowingNetworkTests
{
    private static readonly KvPostgreSqlOptions s_options = new() { WriteTimeout = TimeSpan.FromSeconds(10) };

    [Fact]
    public async Task Network_that_swallows_everything_is_left_behind_without_a_restart()
    {
        var server = await PostgreSqlServer.Shared;
        var database = await server.CreateDatabaseAsync();
        await using var proxy = new CuttingProxy(server.Socket);
        await using var other = await KvPostgreSql.OpenAsync("KV", database);
        var options = s_options with { WriteTimeout = TimeSpan.FromSeconds(3), StalenessMax = TimeSpan.FromSeconds(1) };
        await using var kv = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, CuttingProxy.NoTimeouts), options);
        var closing = await KvPostgreSql.OpenAsync("KV", proxy.Through(database, CuttingProxy.NoTimeouts), options);
        await kv.PutAsync("k", "v");
        proxy.Swallows = true;
        proxy.HalfOpen();

        await kv.Invoking(n => n.PutAsync("k", "w").AsTask()).Should().ThrowAsync<KvPersistenceException>();
        await WaitUntil.HoldsAsync(() => kv.Health.Status == KvPersistenceStatus.Degraded);
        kv.TryGet("k", out _).Should().BeTrue("reads go on");
        await closing.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));

        await other.PutAsync("other", "v");
        proxy.Swallows = false;
        await WaitUntil.HoldsAsync(() => kv.TryGet("other", out _) && kv.Health.Status != KvPersistenceStatus.Failed);
        await kv.PutAsync("k", "x");
        await WaitUntil.HoldsAsync(() => other.TryGet("k", out var value) && value.GetText() == "x");

        // The state may be stale for a moment again: a second is short.
        await WaitUntil.HoldsAsync(() => kv.Health.Status == KvPersistenceStatus.Healthy);
    }
}
