using System.Buffers;
using Microsoft.AspNetCore.Session;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
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

    [Theory]
    [InlineData("AddKvDistributedCache")]
    [InlineData("AddKvHybridCache")]
    [InlineData("AddKvSessions")]
    public async Task Without_a_host_the_first_use_says_what_is_missing(string registration)
    {
        var services = new ServiceCollection().AddLogging();
        _ = registration switch
        {
            "AddKvDistributedCache" => services.AddKvDistributedCache("NONE_KV"),
            "AddKvHybridCache" => services.AddKvHybridCache("NONE_KV"),
            _ => services.AddKvSessions("NONE_KV"),
        };
        await using var provider = services.BuildServiceProvider();

        Func<Task> use = async () =>
        {
            _ = registration switch
            {
                "AddKvDistributedCache" => await provider.GetRequiredService<IDistributedCache>().GetAsync("a"),
                "AddKvHybridCache" => await provider.GetRequiredService<HybridCache>().GetOrCreateAsync("a", _ => new ValueTask<byte[]>([])),
                _ => provider.GetRequiredService<ISessionStore>() as object,
            };
        };

        (await use.Should().ThrowAsync<InvalidOperationException>()).WithMessage($"{registration}: no KV namespace named \"NONE_KV\"*services.AddKvNamespace(\"NONE_KV\").");
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

    [Fact]
    public async Task Requests_of_all_members_are_counted_and_those_that_fail()
    {
        using var counted = new AdapterRequests("COUNTED_ALL_KV");
        var clock = new FakeTimeProvider();
        await using var services = new ServiceCollection().AddSingleton<TimeProvider>(clock).AddKvNamespace("COUNTED_ALL_KV").AddKvDistributedCache("COUNTED_ALL_KV").BuildServiceProvider();
        var cache = (IBufferDistributedCache)services.GetRequiredService<IDistributedCache>();

        await cache.SetAsync("k", new ReadOnlySequence<byte>([1]), new() { SlidingExpiration = TimeSpan.FromHours(1) });
        cache.TryGet("k", new ArrayBufferWriter<byte>());
        await cache.TryGetAsync("none", new ArrayBufferWriter<byte>());
        await cache.RefreshAsync("none");
        clock.Advance(TimeSpan.FromMinutes(30));
        await cache.GetAsync("k");
        await cache.RemoveAsync("k");
        await services.GetRequiredKeyedService<KvNamespace>("COUNTED_ALL_KV").DisposeAsync();
        await cache.GetAsync("k");
        await cache.RefreshAsync("k");
        await cache.SetAsync("k", [1], new());
        await cache.RemoveAsync("k");

        counted.Lines.Should().Equal(new[]
        {
            "set ok", "get hit", "get miss", "refresh miss", "touch ok", "get hit", "remove ok", "get error", "refresh error", "set error", "remove error",
        }.Select(line => $"distributed_cache {line} 1"));
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
