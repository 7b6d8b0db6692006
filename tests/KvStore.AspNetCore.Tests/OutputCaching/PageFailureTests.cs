using KvStore.AspNetCore.Tests.Adapters;
using KvStore.TestKit.Persistence;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>A namespace that fails: the cache misses and logs, and throws nothing.</summary>
public sealed class PageFailureTests : PagesTest
{
    [Fact]
    public async Task Failing_disk_makes_the_cache_miss_and_log()
    {
        var storage = Storage.OnDisk();
        var services = ServicesOn(storage);
        var store = StoreIn(services);
        await store.SetAsync("before", "v", Minute, "tag");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        for (var i = 0; i < 50; i++)
        {
            await store.SetAsync($"k{i}", "v", Minute, "tag");
            await store.SetAsync($"untagged {i}", "v", Minute);
        }

        (await store.GetAsync("k0")).Should().BeNull();
        (await store.GetAsync("before")).Should().Be("v", "reads go on");
        LogIn(services).Warnings.Count(line => line.Contains("could not be stored")).Should().Be(1, "one line in ten seconds is enough");
        Time.Advance(TimeSpan.FromSeconds(10));
        await store.SetAsync("later", "v", Minute);
        LogIn(services).Warnings.Should().ContainSingle(line => line.Contains("could not be stored") && line.Contains("99 more failures"));
    }

    [Fact]
    public async Task Evicted_pages_are_hidden_while_the_disk_fails_and_deleted_afterwards()
    {
        var storage = Storage.OnDisk();
        var services = ServicesOn(storage);
        var store = StoreIn(services);
        await store.SetAsync("k", "v", TimeSpan.FromHours(1), "tag");
        await store.SetAsync("k2", "v", TimeSpan.FromHours(1), "tag", "tag2");
        await store.SetAsync("other", "v", TimeSpan.FromHours(1), "other");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        await store.EvictAsync("tag");
        await store.EvictAsync("tag2");

        (await store.GetAsync("k")).Should().BeNull("it must not be served");
        (await store.GetAsync("k2")).Should().BeNull();
        (await store.GetAsync("other")).Should().Be("v");
        NamespaceIn(services).Count.Should().Be(3, "the disk took no deletion");
        LogIn(services).Warnings.Should().Contain(line => line.StartsWith("Error") && line.Contains("evicted tag could not be deleted"));

        storage.Disk.BeforeStep = null;
        await NamespaceIn(services).ReopenAsync();
        await store.SetAsync("k3", "v", TimeSpan.FromHours(1), "tag");

        NamespaceIn(services).Count.Should().Be(2, "the pages are deleted as soon as a page can be stored");
        IndexIn(services).EvictedThrough.Should().BeNull();
        (await store.GetAsync("k3")).Should().Be("v", "it was stored after the eviction");
        await services.DisposeAsync();

        await using var restarted = ServicesOn(storage);
        (await StoreIn(restarted).GetAsync("k")).Should().BeNull();
        (await StoreIn(restarted).GetAsync("other")).Should().Be("v");
    }

    [Fact]
    public async Task Namespace_that_is_closed_makes_the_cache_miss()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        await store.SetAsync("k", "v", Minute, "tag");
        await NamespaceIn(services).DisposeAsync();

        (await store.GetAsync("k")).Should().BeNull();
        await store.SetAsync("k", "v", Minute, "tag");
        await store.EvictAsync("tag");
        LogIn(services).Warnings.Should().NotBeEmpty();
    }

    [Fact]
    public async Task Namespace_that_is_closed_before_its_first_use_makes_the_cache_miss()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        await NamespaceIn(services).DisposeAsync();

        await store.SetAsync("k", "v", Minute, "tag");
        await store.EvictAsync("tag");
        (await store.GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Page_above_the_limit_is_not_cached_and_logged()
    {
        await using var services = ServicesOn(Storage.InMemory(), options => options with { Limits = options.Limits with { ValueBytesMax = 100 } });
        await StoreIn(services).SetAsync("k", new string('v', 101), Minute, "tag");
        await StoreIn(services).SetAsync("fits", new string('v', 100), Minute, "tag");

        (await StoreIn(services).GetAsync("k")).Should().BeNull();
        (await StoreIn(services).GetAsync("fits")).Should().NotBeNull();
        LogIn(services).Warnings.Should().ContainSingle(line => line.Contains("413"));
        await IndexBecomesAsync(services, pages: 1, tags: 1);
    }

    [Fact]
    public async Task Full_memory_that_refuses_writes_makes_the_cache_miss_and_evictions_work()
    {
        await using var services = ServicesOn(
            Storage.InMemory(), options => options with { Memory = new() { BytesMax = 1 << 20, WhenFull = KvMemoryPolicy.Refuse } });
        var store = StoreIn(services);
        for (var i = 0; i < 200; i++)
        {
            await store.SetAsync($"k{i}", new string('v', 10_000), TimeSpan.FromHours(1), "tag");
        }

        LogIn(services).Warnings.Should().ContainSingle(line => line.Contains("507"));
        (await store.GetAsync("k0")).Should().NotBeNull();
        await store.EvictAsync("tag");
        NamespaceIn(services).Count.Should().Be(0);
        await IndexBecomesAsync(services, pages: 0, tags: 0);
    }
}
