using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using ZiggyCreatures.Caching.Fusion;
using ZiggyCreatures.Caching.Fusion.Serialization.SystemTextJson;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>The cache as second level of Microsoft's HybridCache and of FusionCache, which lose their first level with a restart.</summary>
public sealed class SecondLevelTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-second-").FullName;
    private int _loads;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(null)]
    [InlineData("CACHE_KV")]
    [InlineData("second-level")]
    public async Task HybridCache_finds_after_a_restart_what_it_loaded_before(string? serviceKey)
    {
        var options = new HybridCacheEntryOptions { Expiration = TimeSpan.FromMinutes(10) };
        for (var run = 0; run < 3; run++)
        {
            await using var services = Services(
                services => services.AddKvDistributedCache("CACHE_KV", o => o.ServiceKey = serviceKey).AddHybridCache(o => o.DistributedCacheServiceKey = serviceKey));
            var cache = services.GetRequiredService<HybridCache>();

            (await LoadAsync(cache, "product:1", options)).Should().Be(new Product("product:1", 1));
            (await LoadAsync(cache, "product:1", options)).Should().Be(new Product("product:1", 1));
            await UntilWrittenAsync(services, "product:1");
        }

        _loads.Should().Be(1);
    }

    [Fact]
    public async Task HybridCache_uses_buffers_expires_and_removes()
    {
        var options = new HybridCacheEntryOptions { Expiration = TimeSpan.FromMinutes(10), Flags = HybridCacheEntryFlags.DisableLocalCache };
        var clock = new FakeTimeProvider(CacheUnderTest.Start);
        await using var services = Services(services => services.AddSingleton<TimeProvider>(clock).AddKvDistributedCache("CACHE_KV").AddHybridCache());
        var cache = services.GetRequiredService<HybridCache>();

        (await LoadAsync(cache, "k", options)).Load.Should().Be(1);
        await UntilWrittenAsync(services, "k");
        (await LoadAsync(cache, "k", options)).Load.Should().Be(1);
        await cache.RemoveAsync("k");
        (await LoadAsync(cache, "k", options)).Load.Should().Be(2);
        await UntilWrittenAsync(services, "k");
        clock.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromMilliseconds(1));
        services.GetRequiredService<IDistributedCache>().Get("k").Should().NotBeNull();
        (await LoadAsync(cache, "k", options)).Load.Should().Be(2);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        services.GetRequiredService<IDistributedCache>().Get("k").Should().BeNull();
        (await LoadAsync(cache, "k", options)).Load.Should().Be(3);

        await cache.SetAsync("large", new string('x', 900_000), options);
        (await cache.GetOrCreateAsync<string>("large", _ => throw new InvalidOperationException("It is there."), options)).Should().HaveLength(900_000);
    }

    [Fact]
    public async Task HybridCache_tag_that_was_removed_stays_removed_over_a_restart()
    {
        for (var run = 0; run < 2; run++)
        {
            await using var services = Services(services => services.AddKvDistributedCache("CACHE_KV").AddHybridCache());
            var cache = services.GetRequiredService<HybridCache>();
            if (run == 0)
            {
                await cache.SetAsync("tagged", "old", tags: ["news"]);
                await cache.SetAsync("other", "old");
                await cache.RemoveByTagAsync("news");
            }

            (await cache.GetOrCreateAsync("tagged", _ => ValueTask.FromResult("new"), tags: ["news"])).Should().Be("new");
            (await cache.GetOrCreateAsync("other", _ => ValueTask.FromResult("new"))).Should().Be("old");
        }
    }

    [Fact]
    public async Task FusionCache_finds_after_a_restart_what_it_loaded_before()
    {
        for (var run = 0; run < 3; run++)
        {
            await using var services = Services(services =>
            {
                services.AddKvDistributedCache("CACHE_KV");
                services.AddFusionCache().WithSerializer(new FusionCacheSystemTextJsonSerializer()).WithRegisteredDistributedCache();
            });
            var cache = services.GetRequiredService<IFusionCache>();
            cache.HasDistributedCache.Should().BeTrue();
            var options = new FusionCacheEntryOptions(TimeSpan.FromMinutes(10)) { AllowBackgroundDistributedCacheOperations = false };

            (await cache.GetOrSetAsync("product:1", async _ => await NewAsync("product:1"), options)).Should().Be(new Product("product:1", 1));
            await cache.SetAsync("product:2", new Product("product:2", run), options);
            (await cache.GetOrDefaultAsync<Product>("product:2", options: options)).Should().Be(new Product("product:2", run));
            await cache.RemoveAsync("product:2", options);
            services.GetRequiredService<IDistributedCache>().Get("v2:product:2").Should().BeNull();
        }

        _loads.Should().Be(1);
    }

    // HybridCache returns what it loaded before it has written that to its second level.
    private static async Task UntilWrittenAsync(ServiceProvider services, string key)
    {
        var cache = services.GetRequiredKeyedService<IDistributedCache>("CACHE_KV");
        while (await cache.GetAsync(key) is null)
        {
            await Task.Delay(1);
        }
    }

    private ValueTask<Product> LoadAsync(HybridCache cache, string key, HybridCacheEntryOptions options) =>
        cache.GetOrCreateAsync(key, async _ => await NewAsync(key), options);

    private Task<Product> NewAsync(string key) => Task.FromResult(new Product(key, Interlocked.Increment(ref _loads)));

    private ServiceProvider Services(Action<IServiceCollection> add)
    {
        var services = new ServiceCollection();
        services.AddKvNamespace("CACHE_KV", kv => kv.PersistTo(Path.Combine(_directory, "data")));
        add(services);
        return services.BuildServiceProvider();
    }

    private sealed record Product(string Key, int Load);
}
