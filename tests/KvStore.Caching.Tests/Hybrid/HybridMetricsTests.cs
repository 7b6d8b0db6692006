using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>What the instrument <c>kvstore.adapter.requests</c> says of a HybridCache.</summary>
public sealed class HybridMetricsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_request_is_counted_once_with_its_outcome(bool isSystemClock)
    {
        var name = $"COUNTED_HYBRID_{(isSystemClock ? "SYSTEM" : "FAKE")}_KV";
        using var counted = new AdapterRequests(name);
        await using var services = new ServiceCollection()
            .AddSingleton(isSystemClock ? TimeProvider.System : new FakeTimeProvider())
            .AddKvNamespace(name)
            .AddKvHybridCache(name, o => o.MaximumPayloadBytes = 100)
            .BuildServiceProvider();
        var cache = services.GetRequiredService<HybridCache>();
        var seen = 0;

        await ReadAsync("immutable", new Price("book", 10));
        await ReadAsync("immutable", new Price("book", 10));
        Next().Should().Equal("get miss", "set ok", "get hit");
        await ReadAsync("immutable", "as another type");
        Next().Should().Equal("get hit");

        await ReadAsync("mutable", new Basket());
        await ReadAsync("mutable", new Basket());
        await ReadAsync("mutable", new Basket());
        await cache.GetOrCreateAsync("mutable".AsSpan(), 1, static (_, _) => new ValueTask<Basket>(new Basket()));
        Next().Should().Equal("get miss", "set ok", "get hit", "get hit", "get hit");

        await cache.SetAsync("set", 1);
        await cache.SetAsync("set", new string('x', 101));
        await cache.RemoveAsync("set");
        await cache.RemoveByTagAsync("tag");
        await cache.RemoveByTagAsync("*");
        Next().Should().Equal("set ok", "set too_long", "remove ok", "remove_by_tag ok", "remove_by_tag ok");

        await ReadAsync("no value", 1, HybridCacheEntryFlags.DisableUnderlyingData);
        await ReadAsync("no write", 1, HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite);
        Next().Should().Equal("get miss", "get miss");

        IEnumerable<string> Next()
        {
            var lines = counted.Lines.Skip(seen).ToArray();
            seen += lines.Length;
            return lines.Select(line => line.StartsWith("hybrid_cache ", StringComparison.Ordinal) && line.EndsWith(" 1", StringComparison.Ordinal) ? line[13..^2] : line);
        }

        async Task ReadAsync<T>(string key, T value, HybridCacheEntryFlags? flags = null) =>
            await cache.GetOrCreateAsync(key, _ => new ValueTask<T>(value), flags is null ? null : new() { Flags = flags });
    }

    [Fact]
    public async Task Failures_of_the_store_are_counted()
    {
        const string Name = "COUNTED_HYBRID_FAILURES_KV";
        using var counted = new AdapterRequests(Name);
        await using var services = new ServiceCollection().AddKvNamespace(Name).AddKvHybridCache(Name).BuildServiceProvider();
        var cache = services.GetRequiredService<HybridCache>();
        await cache.SetAsync("a", new Basket(), tags: ["tag"]);
        await services.GetRequiredKeyedService<KvNamespace>(Name).DisposeAsync();

        await cache.SetAsync("a", new Basket());
        await cache.RemoveAsync("a");
        await cache.RemoveByTagAsync("tag");
        await cache.RemoveByTagAsync("*");
        (await cache.GetOrCreateAsync<Basket?>("a", _ => default)).Should().BeNull();
        counted.Lines.Skip(1).Should().Equal(
            new[] { "set error", "remove error", "remove_by_tag error", "remove_by_tag error", "get error", "set error" }.Select(line => $"hybrid_cache {line} 1"));
    }
}
