using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>Entries expire to the millisecond, in memory and after a restart.</summary>
public sealed class HybridExpirationTests
{
    private static readonly TimeSpan s_millisecond = TimeSpan.FromMilliseconds(1);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Entry_is_there_until_the_last_millisecond(bool isPersisted)
    {
        await using var host = new HybridHost(isPersisted);
        foreach (var ms in new[] { 1, 2, 999, 1000, 1001, 59_999, 60_000, 61_500, 90_061_001 })
        {
            await host.Cache.SetAsync("a", new Price("book", ms), new() { Expiration = TimeSpan.FromMilliseconds(ms) });
            await host.Cache.SetAsync("b", new Basket { Owner = $"{ms}" }, new() { Expiration = TimeSpan.FromMilliseconds(ms) });
            host.Fake.Advance(TimeSpan.FromMilliseconds(ms - 1));
            if (isPersisted && ms > 1)
            {
                await host.RestartAsync();
            }

            (await GetAsync<Price>(host, "a"))!.Cents.Should().Be(ms);
            (await GetAsync<Basket>(host, "b"))!.Owner.Should().Be($"{ms}");
            host.Fake.Advance(s_millisecond);
            (await GetAsync<Price>(host, "a")).Should().BeNull();
            (await GetAsync<Basket>(host, "b")).Should().BeNull();
        }
    }

    [Fact]
    public async Task Entry_without_options_lives_for_five_minutes()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1");
        host.Fake.Advance(TimeSpan.FromMinutes(5) - s_millisecond);
        (await GetAsync<string>(host, "a")).Should().Be("1");
        host.Fake.Advance(s_millisecond);
        (await GetAsync<string>(host, "a")).Should().BeNull();
    }

    [Fact]
    public async Task Defaults_hold_for_what_a_call_leaves_out()
    {
        await using var host = new HybridHost(configure: options => options.DefaultEntryOptions = new()
        {
            Expiration = TimeSpan.FromSeconds(10),
            Flags = HybridCacheEntryFlags.DisableUnderlyingData,
        });
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().Be(0, "the flags of the defaults hold");
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1), new() { Expiration = TimeSpan.FromSeconds(20) })).Should().Be(0);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1), new() { Flags = HybridCacheEntryFlags.None })).Should().Be(1);
        host.Fake.Advance(TimeSpan.FromSeconds(10) - s_millisecond);
        (await GetAsync<int>(host, "a")).Should().Be(1);
        host.Fake.Advance(s_millisecond);
        (await GetAsync<int>(host, "a")).Should().Be(0);
    }

    [Fact]
    public async Task Local_expiration_holds_for_readers_of_the_local_cache_only()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1", new() { Expiration = TimeSpan.FromMinutes(5), LocalCacheExpiration = TimeSpan.FromMinutes(1) });
        await host.Cache.SetAsync("local", "1", new() { LocalCacheExpiration = TimeSpan.FromMinutes(1), Flags = HybridCacheEntryFlags.DisableDistributedCache });
        await host.Cache.SetAsync("longer", "1", new() { Expiration = TimeSpan.FromMinutes(1), LocalCacheExpiration = TimeSpan.FromMinutes(5) });
        host.Fake.Advance(TimeSpan.FromMinutes(1) - s_millisecond);
        (await GetAsync<string>(host, "a", HybridCacheEntryFlags.DisableDistributedCacheRead)).Should().Be("1");
        (await GetAsync<string>(host, "local")).Should().Be("1");
        (await GetAsync<string>(host, "longer")).Should().Be("1");

        host.Fake.Advance(s_millisecond);
        (await GetAsync<string>(host, "a", HybridCacheEntryFlags.DisableDistributedCacheRead)).Should().BeNull();
        (await GetAsync<string>(host, "a", HybridCacheEntryFlags.DisableLocalCacheRead)).Should().Be("1");
        (await GetAsync<string>(host, "a")).Should().Be("1");
        (await GetAsync<string>(host, "local")).Should().BeNull();
        (await GetAsync<string>(host, "longer")).Should().BeNull("the local cache keeps nothing longer than the entry lives");
    }

    [Fact]
    public async Task Longest_time_to_live_is_for_ever()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", "1", new() { Expiration = TimeSpan.MaxValue });
        await host.Cache.SetAsync("b", "1", new() { Expiration = TimeSpan.FromDays(365 * 100) });
        host.Fake.Advance(TimeSpan.FromDays(365 * 99));
        (await GetAsync<string>(host, "a")).Should().Be("1");
        (await GetAsync<string>(host, "b")).Should().Be("1");
        host.Log.Warnings.Should().BeEmpty();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public async Task Time_to_live_that_is_not_positive_is_refused(int seconds)
    {
        await using var host = new HybridHost();
        var options = new HybridCacheEntryOptions { Expiration = TimeSpan.FromSeconds(seconds) };
        var local = new HybridCacheEntryOptions { LocalCacheExpiration = TimeSpan.FromSeconds(seconds) };
        foreach (var wrong in new[] { options, local })
        {
            (await FluentActions.Awaiting(async () => await host.Cache.SetAsync("a", 1, wrong)).Should().ThrowAsync<ArgumentOutOfRangeException>())
                .WithMessage("*it must be greater than zero*");
            await FluentActions.Awaiting(async () => await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1), wrong)).Should().ThrowAsync<ArgumentOutOfRangeException>();
        }
    }

    [Fact]
    public async Task Expired_entries_leave_the_namespace_the_memory_and_the_index_of_tags()
    {
        await using var host = new HybridHost();
        for (var i = 0; i < 100; i++)
        {
            await host.Cache.SetAsync($"{i}", new Price("book", i), new() { Expiration = TimeSpan.FromSeconds(1) }, tags: [$"tag {i % 7}"]);
        }

        host.Internals.Entries.Count.Should().Be(100);
        host.Fake.Advance(TimeSpan.FromMinutes(2));
        await Eventually.BecomesAsync(() => (host.Kv.Count, host.Internals.Entries.Count, host.Internals.Store.Tags.Count), (0, 0, 0));
        host.Log.Warnings.Should().BeEmpty();
    }

    private static ValueTask<T?> GetAsync<T>(HybridHost host, string key, HybridCacheEntryFlags flags = HybridCacheEntryFlags.None) =>
        host.Cache.GetOrCreateAsync<T?>(key, _ => new ValueTask<T?>(default(T)), new() { Flags = flags | HybridCacheEntryFlags.DisableUnderlyingData });
}
