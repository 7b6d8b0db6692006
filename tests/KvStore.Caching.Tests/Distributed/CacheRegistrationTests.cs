using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Caching.Tests.Distributed;

/// <summary><c>AddKvDistributedCache</c> in a container and in a host.</summary>
public sealed class CacheRegistrationTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-cache-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Cache_survives_a_restart_of_the_host()
    {
        using (var host = await StartAsync(services => services.AddKvDistributedCache("CACHE_KV")))
        {
            await host.Services.GetRequiredService<IDistributedCache>().SetStringAsync("k", "v");
            await host.StopAsync();
        }

        using (var host = await StartAsync(services => services.AddKvDistributedCache("CACHE_KV")))
        {
            (await host.Services.GetRequiredService<IDistributedCache>().GetStringAsync("k")).Should().Be("v");
        }
    }

    [Fact]
    public async Task Use_of_a_sliding_entry_survives_a_restart_of_the_host()
    {
        var clock = new FakeTimeProvider(CacheUnderTest.Start);
        var options = new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(20) };
        using (var host = await StartAsync(services => services.AddKvDistributedCache("CACHE_KV").AddSingleton<TimeProvider>(clock)))
        {
            var cache = host.Services.GetRequiredService<IDistributedCache>();
            await cache.SetStringAsync("k", "v", options);
            clock.Advance(TimeSpan.FromMilliseconds(1234));
            (await cache.GetStringAsync("k")).Should().Be("v");
        }

        clock.Advance(TimeSpan.FromMinutes(20) - TimeSpan.FromMilliseconds(1));
        using (var host = await StartAsync(services => services.AddKvDistributedCache("CACHE_KV").AddSingleton<TimeProvider>(clock)))
        {
            (await host.Services.GetRequiredService<IDistributedCache>().GetStringAsync("k")).Should().Be("v");
        }
    }

    [Fact]
    public async Task Cache_is_found_without_a_key_and_by_the_name_of_its_namespace()
    {
        await using var services = Services().AddKvDistributedCache("CACHE_KV").BuildServiceProvider();

        var cache = services.GetRequiredService<IDistributedCache>();

        cache.Should().BeOfType<KvDistributedCache>().And.BeAssignableTo<IBufferDistributedCache>();
        services.GetRequiredKeyedService<IDistributedCache>("CACHE_KV").Should().BeSameAs(cache);
    }

    [Fact]
    public async Task Cache_with_a_service_key_leaves_the_one_without_a_key_alone()
    {
        await using var services = Services().AddDistributedMemoryCache()
            .AddKvDistributedCache("CACHE_KV", o => (o.ServiceKey, o.Prefix) = ("second", "second/"))
            .BuildServiceProvider();

        var cache = services.GetRequiredKeyedService<IDistributedCache>("second");
        cache.SetString("k", "v");

        services.GetRequiredService<IDistributedCache>().Should().BeOfType<Microsoft.Extensions.Caching.Distributed.MemoryDistributedCache>();
        services.GetRequiredKeyedService<IDistributedCache>("CACHE_KV").Should().BeSameAs(cache);
        (await services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV").GetTextAsync("second/k")).Should().Be("v");
    }

    [Fact]
    public async Task Two_caches_in_one_namespace_keep_their_keys_apart()
    {
        using var host = await StartAsync(services => services
            .AddKvDistributedCache("CACHE_KV")
            .AddKvDistributedCache("CACHE_KV", o => (o.ServiceKey, o.Prefix) = ("other", "other/")));
        var cache = host.Services.GetRequiredService<IDistributedCache>();
        var other = host.Services.GetRequiredKeyedService<IDistributedCache>("other");

        cache.SetString("k", "1");
        other.SetString("k", "2");

        (cache.GetString("k"), other.GetString("k")).Should().Be(("1", "2"));
        host.Services.GetRequiredKeyedService<IDistributedCache>("CACHE_KV").Should().BeSameAs(cache);
    }

    [Fact]
    public async Task Registrations_that_are_wrong_stop_the_host()
    {
        Func<Task> unknown = () => StartAsync(services => services.AddKvDistributedCache("CACHES_KV"));
        Func<Task> twice = () => StartAsync(services => services.AddKvDistributedCache("CACHE_KV").AddKvDistributedCache("CACHE_KV"));
        Func<Task> meeting = () => StartAsync(services => services
            .AddKvDistributedCache("CACHE_KV").AddKvDistributedCache("CACHE_KV", o => (o.ServiceKey, o.Prefix) = ("x", "cache/x/")));
        Func<Task> prefix = () => StartAsync(services => services.AddKvDistributedCache("CACHE_KV", o => o.Prefix = new string('p', 257)));
        Func<Task> keys = () => StartAsync(services => services.AddKvDistributedCache("CACHE_KV"), kv => kv.Configure(o => o with { Limits = new() { KeyBytesMax = 100 } }));
        Func<Task> metadata = () => StartAsync(services => services.AddKvDistributedCache("CACHE_KV"), kv => kv.Configure(o => o with { Limits = new() { MetadataBytesMax = 50 } }));

        (await unknown.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddKvDistributedCache*CACHES_KV*services.AddKvNamespace(\"CACHES_KV\")*");
        (await twice.Should().ThrowAsync<ArgumentException>()).WithMessage("*AddKvDistributedCache(\"CACHE_KV\") was called before*");
        (await meeting.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*\"cache/x/\"*\"cache/\"*Set a prefix*");
        (await prefix.Should().ThrowAsync<ArgumentException>()).WithMessage("*Prefix*256 bytes*");
        (await keys.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*KeyBytesMax*");
        (await metadata.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*50 bytes*96*KvLimits.MetadataBytesMax*");
    }

    [Fact]
    public async Task Requests_are_counted()
    {
        using var counted = new AdapterRequests("COUNTED_KV");
        await using var services = new ServiceCollection().AddKvNamespace("COUNTED_KV").AddKvDistributedCache("COUNTED_KV").BuildServiceProvider();
        var cache = services.GetRequiredService<IDistributedCache>();

        cache.Get("k");
        cache.Set("k", [1], new());
        cache.Get("k");
        cache.Refresh("k");
        cache.Remove("k");

        counted.Lines.Should().Equal(new[] { "get miss", "set ok", "get hit", "refresh hit", "remove ok" }.Select(line => $"distributed_cache {line} 1"));
    }

    private static ServiceCollection Services() => (ServiceCollection)new ServiceCollection().AddKvNamespace("CACHE_KV");

    private async Task<IHost> StartAsync(Action<IServiceCollection> add, Action<KvNamespaceBuilder>? configure = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new() { ContentRootPath = _directory });
        builder.Services.AddKvNamespace("CACHE_KV", configure ?? (kv => kv.PersistTo("data")));
        add(builder.Services);
        var host = builder.Build();
        try
        {
            await host.StartAsync();
            return host;
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }
}
