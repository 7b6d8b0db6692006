using KvStore.TestKit.Persistence;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>When the disk fails, callers get the values of their factories, and nothing that was to be removed comes back.</summary>
public sealed class HybridFailureTests
{
    [Fact]
    public async Task Failing_disk_makes_misses_and_a_warning_and_no_exception()
    {
        var disk = new SimulatedDisk();
        await using var host = Host(disk);
        await host.Cache.SetAsync("kept", new Price("book", 1));
        await host.Cache.SetAsync("replaced", "before");
        Break(disk);

        (await host.Cache.GetOrCreateAsync("new", _ => new ValueTask<string>("1"))).Should().Be("1");
        (await host.Cache.GetOrCreateAsync("new", _ => new ValueTask<string>("2"))).Should().Be("2");
        (await host.Cache.GetOrCreateAsync("kept", _ => new ValueTask<Price>(new Price("book", 2)))).Cents.Should().Be(1);
        await host.Cache.SetAsync("replaced", "after");
        (await host.Cache.GetOrCreateAsync("replaced", _ => new ValueTask<string>("created"))).Should().Be("created", "the value before was to be replaced");
        host.Log.Warnings.Where(line => line.Contains("the cache goes on without it", StringComparison.Ordinal)).Should().ContainSingle("more of the same is not logged");
        host.Internals.Writes.Count.Should().Be(0);
    }

    [Fact]
    public async Task Removal_that_the_disk_refuses_holds_in_the_process()
    {
        var disk = new SimulatedDisk();
        await using var host = Host(disk);
        foreach (var key in new[] { "key", "tagged", "other", "all" })
        {
            await host.Cache.SetAsync(key, new Price(key, 1), tags: [key]);
            (await GetAsync(host, key)).Should().Be(1);
        }

        Break(disk);
        await host.Cache.RemoveAsync("key");
        await host.Cache.RemoveByTagAsync("tagged");
        (await GetAsync(host, "key")).Should().BeNull();
        (await GetAsync(host, "tagged")).Should().BeNull();
        (await GetAsync(host, "other")).Should().Be(1);
        await host.Cache.RemoveByTagAsync("*");
        (await GetAsync(host, "other")).Should().BeNull();
        (await GetAsync(host, "all")).Should().BeNull();
    }

    [Fact]
    public async Task Cache_goes_on_when_the_disk_works_again()
    {
        var disk = new SimulatedDisk();
        await using var host = Host(disk);
        await host.Cache.SetAsync("a", "before");
        Break(disk);
        await host.Cache.RemoveAsync("a");
        disk.BeforeStep = null;
        await host.Kv.ReopenAsync();
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("after"))).Should().Be("after");
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("after");
    }

    [Fact]
    public async Task Namespace_that_was_disposed_makes_misses()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1", tags: ["t"]);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("2"))).Should().Be("1");
        await host.Kv.DisposeAsync();
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("2"))).Should().Be("2");
        await host.Cache.SetAsync("a", "1", tags: ["t"]);
        await host.Cache.RemoveAsync("a");
        await host.Cache.RemoveByTagAsync("t");
        await host.Cache.RemoveByTagAsync("*");
        host.Log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Full_namespace_makes_misses()
    {
        await using var host = new HybridHost(namespaceOptions: options => options with { Limits = options.Limits with { NamespaceBytesMax = 10_000 } });
        for (var i = 0; i < 5; i++)
        {
            (await host.Cache.GetOrCreateAsync($"{i}", _ => new ValueTask<byte[]>(new byte[5000]))).Should().HaveCount(5000);
        }

        host.Kv.Count.Should().BeInRange(1, 4);
        host.Log.Warnings.Should().NotBeEmpty();
    }

    private static HybridHost Host(SimulatedDisk disk) =>
        new(namespaceOptions: options => options with { Persistence = new FilePersistence("disk", new FilePersistenceOptions(), _ => disk) });

    private static void Break(SimulatedDisk disk) => _ = new FaultyDisk(disk, "flush", 1, "Input/output error", isForGood: true);

    private static async Task<int?> GetAsync(HybridHost host, string key) =>
        (await host.Cache.GetOrCreateAsync<Price?>(key, _ => default, new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData }))?.Cents;
}
