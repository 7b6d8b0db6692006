namespace KvStore.Tests.Replication;

/// <summary>The rules of the classic service's caches, one by one.</summary>
public sealed class EdgeCacheTests
{
    private static readonly KvGetOptions s_for30Seconds = new() { CacheTtl = TimeSpan.FromSeconds(30) };
    private static readonly KvGetOptions s_for10Minutes = new() { CacheTtl = TimeSpan.FromMinutes(10) };

    [Fact]
    public async Task A_region_that_has_not_read_the_key_sees_the_newest_value_at_once()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "v1");
        await regions.Jnb.PutAsync("k", "v2");

        (await regions.Lhr.GetTextAsync("k")).Should().Be("v2");
    }

    [Fact]
    public async Task A_region_goes_on_serving_what_it_has_read_for_60_seconds()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        (await Get(regions.Lhr)).Should().Be("old MISS");
        await regions.Jnb.PutAsync("k", "new");

        regions.Advance(59.999);
        (await Get(regions.Lhr)).Should().Be("old HIT");
        regions.Advance(0.001);
        (await Get(regions.Lhr)).Should().Be("new EXPIRED");
        (await Get(regions.Lhr)).Should().Be("new HIT");
    }

    [Fact]
    public async Task Absence_of_a_key_is_cached_too()
    {
        using var regions = Cached();
        (await Get(regions.Lhr)).Should().Be(" MISS");
        await regions.Jnb.PutAsync("k", "v");

        (await Get(regions.Lhr)).Should().Be(" HIT");
        regions.Advance(60);
        (await Get(regions.Lhr)).Should().Be("v EXPIRED");
    }

    [Fact]
    public async Task A_deleted_key_is_served_until_the_cache_runs_out()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "v");
        await Get(regions.Lhr);
        await regions.Jnb.DeleteAsync("k");

        (await Get(regions.Lhr)).Should().Be("v HIT");
        regions.Advance(60);
        (await Get(regions.Lhr)).Should().Be(" EXPIRED");
    }

    [Fact]
    public async Task A_write_is_visible_at_once_in_its_own_region()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Jnb);

        await regions.Jnb.PutAsync("k", "new");
        (await Get(regions.Jnb)).Should().Be("new MISS");
        await regions.Jnb.DeleteAsync("k");
        (await Get(regions.Jnb)).Should().Be(" MISS");
    }

    [Fact]
    public async Task Regions_cache_each_for_itself()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr);
        await regions.Jnb.PutAsync("k", "new");

        (await Get(regions.Sfo)).Should().Be("new MISS");
        (await Get(regions.Lhr)).Should().Be("old HIT");
    }

    [Fact]
    public async Task The_read_that_fills_the_cache_says_for_how_long()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr, s_for10Minutes);
        await regions.Jnb.PutAsync("k", "new");

        regions.Advance(599);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("old HIT");
        regions.Advance(1);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("new EXPIRED");
    }

    [Fact]
    public async Task A_read_with_a_lower_time_looks_again_when_what_is_cached_is_older()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr, s_for10Minutes);
        await regions.Jnb.PutAsync("k", "new");
        regions.Advance(31);

        (await Get(regions.Lhr, s_for30Seconds)).Should().Be("new EXPIRED");
    }

    [Fact]
    public async Task A_read_with_a_lower_time_shortens_what_is_cached_for_others_too()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr, s_for10Minutes);
        await regions.Jnb.PutAsync("k", "new");
        regions.Advance(10);

        (await Get(regions.Lhr, s_for30Seconds)).Should().Be("old HIT");
        regions.Advance(20);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("new EXPIRED");
    }

    [Fact]
    public async Task A_read_that_says_nothing_counts_as_one_that_says_60_seconds()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr, s_for10Minutes);
        await regions.Jnb.PutAsync("k", "new");
        regions.Advance(60);

        (await Get(regions.Lhr)).Should().Be("new EXPIRED");
    }

    [Fact]
    public async Task A_read_with_a_higher_time_does_not_lengthen_what_is_cached()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr);
        await regions.Jnb.PutAsync("k", "new");
        regions.Advance(30);

        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("old HIT");
        regions.Advance(30);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("new EXPIRED");
    }

    [Fact]
    public async Task Expiration_beats_the_cache()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("v MISS");

        regions.Advance(59);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be("v HIT");
        regions.Advance(1);
        (await Get(regions.Lhr, s_for10Minutes)).Should().Be(" EXPIRED");
    }

    [Fact]
    public async Task Cache_entry_that_expired_long_ago_is_a_miss()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("k", "v");
        await Get(regions.Lhr);

        regions.Advance(300);

        (await Get(regions.Lhr)).Should().Be("v MISS");
    }

    [Fact]
    public async Task Many_keys_are_cached_one_by_one()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("a", "old");
        await regions.Lhr.GetAsync("a");
        await regions.Jnb.PutAsync("a", "new");
        await regions.Jnb.PutAsync("b", "new");

        var many = await regions.Lhr.GetManyAsync(["a", "b", "c"]);

        many.Select(pair => $"{pair.Key}={pair.Value.GetText()} {pair.Value.CacheStatus}").Should().Equal("a=old HIT", "b=new MISS", "c= MISS");
    }

    [Fact]
    public async Task The_home_region_caches_like_the_others()
    {
        using var regions = Cached();
        await regions.Lhr.PutAsync("k", "old");
        (await Get(regions.Kv)).Should().Be("old MISS");
        await regions.Lhr.PutAsync("k", "new");

        (await Get(regions.Kv)).Should().Be("old HIT");
        (await regions.Kv.GetTextAsync("k")).Should().Be("old");
        regions.Kv.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("old");
        regions.Kv.TryGet("k"u8, out value).Should().BeTrue();
        value.CacheStatus.Should().Be("HIT");
    }

    [Fact]
    public async Task Without_a_cache_there_is_no_status()
    {
        using var regions = new Regions();

        (await regions.Lhr.GetAsync("k")).CacheStatus.Should().BeNull();
        (await regions.Lhr.ListAsync()).CacheStatus.Should().BeNull();
    }

    [Fact]
    public async Task Listings_are_cached_likewise()
    {
        using var regions = Cached();
        await regions.Jnb.PutAsync("a", "v");
        (await List(regions.Lhr)).Should().Be("a MISS");
        await regions.Jnb.PutAsync("b", "v");

        (await List(regions.Lhr)).Should().Be("a HIT");
        (await List(regions.Lhr, "b")).Should().Be("b MISS");
        (await List(regions.Sfo)).Should().Be("a,b MISS");
        regions.Advance(60);
        (await List(regions.Lhr)).Should().Be("a,b EXPIRED");
    }

    [Fact]
    public async Task A_cached_listing_does_not_show_what_has_expired()
    {
        using var regions = Cached(new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) });
        await regions.Jnb.PutAsync("a", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(10) });
        await regions.Jnb.PutAsync("b", "v");
        (await List(regions.Lhr)).Should().Be("a,b MISS");

        regions.Advance(10);

        (await List(regions.Lhr)).Should().Be("b HIT");
    }

    [Fact]
    public async Task A_write_drops_the_listings_of_its_region_that_it_belongs_to()
    {
        using var regions = Cached();
        await List(regions.Lhr, "a");
        await List(regions.Lhr, "b");
        await List(regions.Sfo, "a");

        await regions.Lhr.PutAsync("a", "v");

        (await List(regions.Lhr, "a")).Should().Be("a MISS");
        (await List(regions.Lhr, "b")).Should().Be(" HIT");
        (await List(regions.Sfo, "a")).Should().Be(" HIT");
    }

    [Fact]
    public async Task Hot_keys_are_refreshed_before_they_run_out()
    {
        using var regions = Cached(new KvEdgeCacheOptions { RefreshHotKeys = true });
        await regions.Jnb.PutAsync("k", "old");
        await Get(regions.Lhr);
        await regions.Jnb.PutAsync("k", "new");
        regions.Advance(44);
        (await Get(regions.Lhr)).Should().Be("old HIT");
        (await Get(regions.Lhr)).Should().Be("old HIT");

        regions.Advance(1);
        (await Get(regions.Lhr)).Should().Be("old HIT");
        (await Get(regions.Lhr)).Should().Be("new HIT");
        regions.Advance(59);
        (await Get(regions.Lhr)).Should().Be("new HIT");
    }

    [Fact]
    public async Task Keys_that_are_read_seldom_run_out_all_the_same()
    {
        using var regions = Cached(new KvEdgeCacheOptions { RefreshHotKeys = true });
        await regions.Jnb.PutAsync("k", "v");
        await Get(regions.Lhr);
        regions.Advance(50);
        (await Get(regions.Lhr)).Should().Be("v HIT");

        regions.Advance(10);

        (await Get(regions.Lhr)).Should().Be("v EXPIRED");
    }

    [Fact]
    public async Task Oldest_entries_are_evicted_when_the_cache_of_a_region_is_full()
    {
        using var regions = Cached(new KvEdgeCacheOptions { EntriesMax = 2 });
        foreach (var key in new[] { "a", "b", "c" })
        {
            await regions.Lhr.GetAsync(key);
        }

        (await regions.Lhr.GetAsync("c")).CacheStatus.Should().Be("HIT");
        (await regions.Lhr.GetAsync("b")).CacheStatus.Should().Be("HIT");
        (await regions.Lhr.GetAsync("a")).CacheStatus.Should().Be("MISS");
        for (var i = 0; i < 5; i++)
        {
            await regions.Lhr.ListAsync(new KvListOptions { Prefix = $"p{i}" });
        }

        (await regions.Lhr.ListAsync(new KvListOptions { Prefix = "p4" })).CacheStatus.Should().Be("HIT");
        (await regions.Lhr.ListAsync(new KvListOptions { Prefix = "p0" })).CacheStatus.Should().Be("MISS");
    }

    [Fact]
    public async Task A_cache_may_stand_before_a_lag()
    {
        using var regions = new Regions(Regions.Fixed(10), new KvEdgeCacheOptions());
        await regions.Jnb.PutAsync("k", "v");
        (await Get(regions.Lhr)).Should().Be(" MISS");
        regions.Advance(10);
        (await Get(regions.Lhr)).Should().Be(" HIT");
        (await Get(regions.Sfo)).Should().Be("v MISS");
    }

    private static Regions Cached(KvLimits? limits = null) => new(cache: new KvEdgeCacheOptions(), limits: limits);

    private static Regions Cached(KvEdgeCacheOptions options) => new(cache: options);

    private static async Task<string> Get(IKvNamespace region, KvGetOptions? options = null)
    {
        var value = await region.GetAsync("k", options);
        return $"{value.GetText()} {value.CacheStatus}";
    }

    private static async Task<string> List(IKvNamespace region, string? prefix = null)
    {
        var page = await region.ListAsync(new KvListOptions { Prefix = prefix });
        return $"{string.Join(',', page.Keys)} {page.CacheStatus}";
    }
}
