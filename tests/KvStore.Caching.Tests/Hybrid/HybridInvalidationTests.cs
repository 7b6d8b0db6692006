using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>What anybody else writes to the namespace is seen by the next read, and objects of removed entries do not stay in memory.</summary>
public sealed class HybridInvalidationTests
{
    [Fact]
    public async Task Write_of_somebody_else_is_seen_at_once()
    {
        await using var host = new HybridHost();
        for (var i = 0; i < 100; i++)
        {
            await host.Cache.SetAsync("a", "cached");
            (await GetAsync<string>(host, "a")).Should().Be("cached");
            await host.Kv.PutAsync("hybrid/a", $"from elsewhere {i}");
            (await GetAsync<string>(host, "a")).Should().Be($"from elsewhere {i}");
            await host.Kv.DeleteAsync("hybrid/a");
            (await GetAsync<string>(host, "a")).Should().BeNull();
        }
    }

    [Fact]
    public async Task Bulk_delete_and_prefix_delete_are_seen_at_once()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1");
        await host.Cache.SetAsync("b", "1");
        await host.Kv.DeleteManyAsync(["hybrid/a"]);
        (await GetAsync<string>(host, "a")).Should().BeNull();
        await host.Kv.DeletePrefixAsync("hybrid/");
        (await GetAsync<string>(host, "b")).Should().BeNull();
    }

    [Fact]
    public async Task Entry_of_somebody_else_lives_as_long_as_the_namespace_says()
    {
        await using var host = new HybridHost();
        await host.Kv.PutAsync("hybrid/a", """{"Owner":"ada"}""", new() { ExpirationTtl = TimeSpan.FromMinutes(2), Metadata = KvMetadata.FromJson("""{"by":"ada"}""") });
        await host.Kv.PutAsync("hybrid/b", "7");
        (await GetAsync<Basket>(host, "a"))!.Owner.Should().Be("ada");
        (await GetAsync<int>(host, "b")).Should().Be(7);
        host.Fake.Advance(TimeSpan.FromMinutes(2));
        (await GetAsync<Basket>(host, "a")).Should().BeNull();
        (await GetAsync<int>(host, "b")).Should().Be(7);
    }

    [Fact]
    public async Task Entry_that_was_touched_keeps_its_own_deadline()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1", new() { Expiration = TimeSpan.FromMinutes(2) });
        await host.Kv.TouchAsync("hybrid/a", TimeSpan.FromHours(1));
        (await GetAsync<string>(host, "a")).Should().Be("1");
        host.Fake.Advance(TimeSpan.FromMinutes(2));
        (await GetAsync<string>(host, "a")).Should().BeNull();
    }

    [Fact]
    public async Task Objects_of_entries_that_others_removed_leave_the_memory()
    {
        await using var host = new HybridHost();
        for (var i = 0; i < 1000; i++)
        {
            await host.Cache.SetAsync($"{i}", new Price("book", i));
        }

        host.Internals.Entries.Count.Should().Be(1000);
        await host.Kv.DeletePrefixAsync("hybrid/1");
        await Eventually.BecomesAsync(() => host.Internals.Entries.Count, 889);
        await host.Kv.PutAsync("hybrid/2", "null");
        await Eventually.BecomesAsync(() => host.Internals.Entries.Count, 888);
    }

    [Fact]
    public async Task Evicted_entries_leave_the_memory_and_are_created_again()
    {
        await using var host = new HybridHost(
            configure: options => options.MaximumPayloadBytes = 1 << 20,
            namespaceOptions: options => options with { Memory = new() { BytesMax = 32 << 20, WhenFull = KvMemoryPolicy.Evict } });
        for (var i = 0; i < 2000; i++)
        {
            await host.Cache.SetAsync($"{i}", new string((char)('a' + (i % 26)), 40_000), tags: ["t"]);
        }

        host.Kv.EvictedCount.Should().BePositive();
        await Eventually.BecomesAsync(() => host.Internals.Entries.Count == host.Kv.Count, true);
        for (var i = 0; i < 2000; i++)
        {
            (await host.Cache.GetOrCreateAsync($"{i}", _ => new ValueTask<string>("again"), new() { Flags = HybridCacheEntryFlags.DisableDistributedCacheWrite | HybridCacheEntryFlags.DisableLocalCacheWrite }))
                .Should().BeOneOf("again", new string((char)('a' + (i % 26)), 40_000));
        }
    }

    [Fact]
    public async Task Objects_leave_the_memory_with_their_entries_in_one_step()
    {
        await using var host = new HybridHost(
            namespaceOptions: options => options with { Memory = new() { BytesMax = 32 << 20, WhenFull = KvMemoryPolicy.Evict } });
        for (var i = 0; i < 3000; i++)
        {
            await host.Cache.SetAsync($"{i}", new string('x', 20_000));

            // In this order, so that an eviction between them cannot fail the test. One entry of each thread of the namespace is between two steps.
            var entries = host.Kv.Count;
            host.Internals.Entries.Count.Should().BeLessThanOrEqualTo((int)entries + 16);
        }

        host.Kv.EvictedCount.Should().BePositive();
        await host.Kv.DeleteAsync("hybrid/2999");
        host.Internals.Entries.Find("2999").Should().BeNull("the delete has completed");
        await host.Kv.DeletePrefixAsync("hybrid/");
        host.Internals.Entries.Count.Should().Be(0);
    }

    [Fact]
    public async Task Object_of_an_expired_entry_leaves_the_memory_when_the_namespace_removes_it()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1", new() { Expiration = TimeSpan.FromMinutes(2) });
        host.Internals.Entries.Count.Should().Be(1);
        host.Fake.Advance(TimeSpan.FromMinutes(10));
        await Eventually.BecomesAsync(() => host.Internals.Entries.Count, 0);
    }

    [Fact]
    public async Task Metadata_of_an_entry_says_when_it_expires_and_its_tags()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", new Price("book", 10), new() { Expiration = TimeSpan.FromMinutes(1), LocalCacheExpiration = TimeSpan.FromSeconds(1) }, ["books", "\"quoted\""]);
        var entry = await host.Kv.GetAsync("hybrid/a");
        var now = host.Fake.GetUtcNow().ToUnixTimeMilliseconds();
        entry.GetText().Should().Be("""{"Product":"book","Cents":10}""");
        entry.Metadata.ToString().Should().Be($$"""{"expires":{{now + 60_000}},"localExpires":{{now + 1000}},"tags":["books","\"quoted\""]}""");
    }

    private static ValueTask<T?> GetAsync<T>(HybridHost host, string key) =>
        host.Cache.GetOrCreateAsync<T?>(key, _ => new ValueTask<T?>(default(T)), new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData });
}
