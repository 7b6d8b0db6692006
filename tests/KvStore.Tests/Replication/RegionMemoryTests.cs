namespace KvStore.Tests.Replication;

/// <summary>What regions cost while nothing is in flight to them: nothing.</summary>
[Collection(AloneCollection.Name)]
public sealed class RegionMemoryTests
{
    private const int Keys = 50_000;
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd", "gru"];

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Five_regions_without_pending_writes_take_no_more_memory_than_one()
    {
        var plain = await BytesBesideTheEngine(replication: null);
        var replicated = await BytesBesideTheEngine(new KvReplicationOptions { Regions = s_regions });
        var settled = await BytesBesideTheEngine(
            new KvReplicationOptions { Regions = s_regions, Lag = KvLag.Fixed(TimeSpan.FromSeconds(10)) });

        // A view is a few objects. What a key in flight takes would be a kilobyte for each of 50,000.
        replicated.Should().BeLessThan(plain + 1_500_000);
        settled.Should().BeLessThan(plain + 1_500_000);
    }

    [Fact]
    public async Task Read_in_a_region_without_pending_writes_allocates_nothing()
    {
        await using var kv = Create(new KvReplicationOptions { Regions = s_regions, Lag = KvLag.Fixed(TimeSpan.FromSeconds(10)) });
        await kv.PutAsync("k", "v");
        _time.Advance(TimeSpan.FromSeconds(10));
        var lhr = kv.InRegion("lhr");
        await Read(1000);

        var before = GC.GetAllocatedBytesForCurrentThread();
        await Read(10_000);
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(10_000, "not a byte a read");

        async ValueTask Read(int times)
        {
            for (var i = 0; i < times; i++)
            {
                _ = kv.TryGet("k", out _);
                _ = await kv.GetAsync("k");
                _ = await lhr.GetBytesAsync("k");
                _ = await lhr.GetTextAsync("k");
            }
        }
    }

    // The engine's own memory comes in segments, and in tables that are as large as the hashes of a process make them.
    private async Task<long> BytesBesideTheEngine(KvReplicationOptions? replication)
    {
        // What earlier tests have left to finalizers goes first.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        await using var kv = Create(replication);
        var value = new byte[100];
        for (var i = 0; i < Keys; i++)
        {
            await kv.PutAsync($"key:{i:000000}", value);
        }

        _time.Advance(TimeSpan.FromSeconds(10));
        kv.Replication?.IsConverged.Should().BeTrue();
        return GC.GetTotalMemory(forceFullCollection: true) - before - kv.MemoryBytes;
    }

    private KvNamespace Create(KvReplicationOptions? replication) =>
        KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _time, Replication = replication });
}
