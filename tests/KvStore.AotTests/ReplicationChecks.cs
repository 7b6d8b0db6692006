using KvStore.TestKit;
using KvStore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace KvStore.AotTests;

/// <summary>Regions, their lag, their caches and their faults.</summary>
internal static class ReplicationChecks
{
    public static async Task RunAsync()
    {
        var clock = new FakeTimeProvider();
        await using var provider = new ServiceCollection()
            .AddSingleton<TimeProvider>(clock)
            .AddKvNamespace("FLAGS", kv => kv.Replicate(r => r.Regions("jnb", "lhr").Lag(KvLag.Fixed(TimeSpan.FromSeconds(5)))))
            .AddKvNamespace("CACHED", kv => kv.Profile(KvProfile.WorkersKv).Replicate(r => r.Regions("jnb", "lhr")))
            .BuildServiceProvider();
        var flags = provider.GetRequiredKeyedService<IKvNamespace>("FLAGS");
        var lhr = flags.InRegion("lhr");
        var events = flags.Replication!.ReadEventsAsync().GetAsyncEnumerator();
        await flags.PutAsync("k", "v");
        await flags.PutAsync("emoji 🚀", "v");
        Check.Equal(null, await lhr.GetTextAsync("k"));
        Check.Equal(null, await lhr.GetTextAsync("emoji 🚀"));
        Check.Equal(0, (await lhr.ListAsync()).Keys.Count);
        Check.Equal(2L, flags.Replication!.PendingCount);
        clock.Advance(TimeSpan.FromSeconds(5));
        Check.Equal("v", await lhr.GetTextAsync("k"));
        Check.Equal(2, (await lhr.ListAsync()).Keys.Count);
        Check.That(await events.MoveNextAsync(), "there is an event");
        Check.Equal("jnb>lhr", $"{events.Current.From}>{events.Current.To}");

        flags.Replication!.Partition("lhr");
        await lhr.DeleteAsync("k");
        Check.Equal("v", await flags.GetTextAsync("k"));
        flags.Replication!.Heal("lhr");
        clock.Advance(TimeSpan.FromSeconds(5));
        Check.Equal(null, await flags.GetTextAsync("k"));

        var cached = provider.GetRequiredKeyedService<IKvNamespace>("CACHED");
        Check.Equal("MISS", (await cached.InRegion("lhr").GetAsync("k")).CacheStatus);
        await cached.PutAsync("k", "v");
        Check.Equal("HIT", (await cached.InRegion("lhr").GetAsync("k")).CacheStatus);
    }
}
