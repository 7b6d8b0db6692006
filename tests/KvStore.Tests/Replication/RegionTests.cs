using System.Text;

namespace KvStore.Tests.Replication;

public sealed class RegionTests
{
    [Fact]
    public async Task Text_read_repeatedly_is_the_old_one_until_the_new_one_is_delivered()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "old");
        regions.Advance(10);
        await regions.Jnb.PutAsync("k", "new");

        // Often enough for both to be kept as they were decoded.
        for (var i = 0; i < 5; i++)
        {
            (await regions.See("k")).Should().Be("new old old");
        }

        regions.Advance(10);
        (await regions.See("k")).Should().Be("new new new");
    }

    [Fact]
    public async Task A_put_is_visible_at_once_where_it_is_made_and_elsewhere_when_the_lag_has_passed()
    {
        using var regions = new Regions(Regions.Fixed(10));

        await regions.Jnb.PutAsync("k", "v");

        (await regions.See("k")).Should().Be("v - -");
        regions.Advance(9.999);
        (await regions.See("k")).Should().Be("v - -");
        regions.Advance(0.001);
        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task A_delete_is_seen_late_as_well()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(10);

        await regions.Lhr.DeleteAsync("k");

        (await regions.See("k")).Should().Be("v - v");
        regions.Advance(10);
        (await regions.See("k")).Should().Be("- - -");
    }

    [Fact]
    public async Task Deleting_a_key_that_no_region_has_leaves_nothing_pending()
    {
        using var regions = new Regions(Regions.Fixed(10));

        await regions.Jnb.DeleteAsync("k");

        regions.Replication.PendingCount.Should().Be(0);
    }

    [Fact]
    public async Task A_region_can_delete_what_only_it_still_sees()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(10);
        await regions.Jnb.DeleteAsync("k");

        await regions.Lhr.DeleteAsync("k");

        (await regions.See("k")).Should().Be("- - v");
    }

    [Fact]
    public async Task Every_version_is_seen_in_its_turn()
    {
        using var regions = new Regions(Regions.Fixed(10));
        var seen = new List<string?>();
        for (var second = 0; second < 14; second++)
        {
            if (second < 4)
            {
                await regions.Jnb.PutAsync("k", $"v{second}");
            }

            seen.Add(await regions.Lhr.GetTextAsync("k"));
            regions.Advance(1);
        }

        seen.Should().Equal(null, null, null, null, null, null, null, null, null, null, "v0", "v1", "v2", "v3");
    }

    [Fact]
    public async Task Write_delivered_after_a_newer_one_is_never_seen()
    {
        var lags = new Queue<double>([10, 10, 1, 1]);
        using var regions = new Regions(new Scripted(() => lags.Dequeue()));
        await regions.Jnb.PutAsync("k", "slow");
        await regions.Jnb.PutAsync("k", "fast");

        regions.Advance(1);
        (await regions.See("k")).Should().Be("fast fast fast");
        regions.Advance(9);
        (await regions.See("k")).Should().Be("fast fast fast");
        regions.Replication.PendingCount.Should().Be(0);
    }

    [Fact]
    public async Task Own_write_wins_over_a_pending_write_of_another_region()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "first");
        regions.Advance(1);
        await regions.Lhr.PutAsync("k", "second");

        (await regions.See("k")).Should().Be("first second -");
        regions.Advance(9);
        (await regions.See("k")).Should().Be("first second first");
        regions.Advance(1);
        (await regions.See("k")).Should().Be("second second second");
    }

    [Fact]
    public async Task The_namespace_itself_is_the_view_of_its_home_region()
    {
        using var regions = new Regions(new KvReplicationOptions { Regions = ["jnb", "lhr"], HomeRegion = "lhr", Lag = Regions.Fixed(10) });

        await regions.Jnb.PutAsync("there", "v");
        await regions.Kv.PutAsync("here", "v");

        regions.Kv.Replication!.HomeRegion.Should().Be("lhr");
        (await regions.Kv.GetTextAsync("there")).Should().BeNull();
        (await regions.Lhr.GetTextAsync("here")).Should().Be("v");
        (await regions.Jnb.GetTextAsync("here")).Should().BeNull();
    }

    [Fact]
    public async Task Every_way_of_reading_sees_the_region()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "old", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        await regions.Jnb.PutAsync("gone", "old");
        regions.Advance(10);
        await regions.Lhr.PutAsync("k", "new", new KvPutOptions { Metadata = KvMetadata.FromJson("2") });
        await regions.Lhr.PutAsync("added", "new");
        await regions.Lhr.DeleteAsync("gone");
        var home = regions.Kv;

        (await home.GetTextAsync("k")).Should().Be("old");
        (await home.GetAsync("k")).Metadata.ToString().Should().Be("1");
        Encoding.UTF8.GetString((await home.GetBytesAsync("k"))!.Value.Span).Should().Be("old");
        home.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("old");
        home.TryGet("gone"u8, out value).Should().BeTrue();
        home.TryGet("added"u8, out value).Should().BeFalse();
        (await home.GetTextAsync(["k", "gone", "added"])).Values.Should().Equal("old", "old", null);
        (await home.ListAsync()).Keys.Select(key => $"{key.Name} {key.Metadata}").Should().Equal("gone null", "k 1");
        (await regions.Lhr.ListAsync()).Keys.Select(key => $"{key.Name} {key.Metadata}").Should().Equal("added null", "k 2");
        (await regions.Lhr.GetTextAsync(["k", "gone", "added"])).Values.Should().Equal("new", null, "new");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task Pages_of_a_region_have_its_keys_in_order_with_any_pending_writes(int limit)
    {
        using var regions = new Regions(Regions.Fixed(10));
        for (var i = 0; i < 30; i += 3)
        {
            await regions.Jnb.PutAsync($"k{i:00}", "old");
        }

        regions.Advance(10);
        for (var i = 0; i < 30; i += 2)
        {
            await regions.Jnb.PutAsync($"k{i:00}", "new");
        }

        for (var i = 0; i < 30; i += 5)
        {
            await regions.Jnb.DeleteAsync($"k{i:00}");
        }

        (await Names(regions.Lhr, limit)).Should().Equal(Enumerable.Range(0, 10).Select(i => $"k{i * 3:00}"));
        (await Names(regions.Jnb, limit)).Should().Equal(
            Enumerable.Range(0, 30).Where(i => (i % 2 == 0 || i % 3 == 0) && i % 5 != 0).Select(i => $"k{i:00}"));
        regions.Advance(10);
        (await Names(regions.Lhr, limit)).Should().Equal(await Names(regions.Jnb, limit));
    }

    [Fact]
    public async Task A_prefix_selects_among_what_the_region_sees()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("a:1", "v");
        await regions.Jnb.PutAsync("b:1", "v");
        regions.Advance(10);
        await regions.Jnb.DeleteAsync("a:1");
        await regions.Jnb.DeleteAsync("b:1");
        await regions.Jnb.PutAsync("a:2", "v");

        (await regions.Lhr.ListAsync(new KvListOptions { Prefix = "a:" })).Keys.Select(key => key.Name).Should().Equal("a:1");
        (await regions.Jnb.ListAsync(new KvListOptions { Prefix = "a:" })).Keys.Select(key => key.Name).Should().Equal("a:2");
    }

    [Fact]
    public async Task An_expired_entry_is_served_nowhere_though_its_overwriting_has_not_arrived()
    {
        using var regions = new Regions(Regions.Fixed(100));
        await regions.Jnb.PutAsync("k", "short", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(120) });
        regions.Advance(100);
        await regions.Jnb.PutAsync("k", "long");
        (await regions.See("k")).Should().Be("long short short");

        regions.Advance(20);

        (await regions.See("k")).Should().Be("long - -");
        (await regions.Lhr.ListAsync()).Keys.Should().BeEmpty();
        regions.Advance(80);
        (await regions.See("k")).Should().Be("long long long");
    }

    [Fact]
    public async Task Write_that_expires_before_its_delivery_is_never_seen()
    {
        using var regions = new Regions(Regions.Fixed(100));
        await regions.Jnb.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });

        regions.Advance(100);

        (await regions.See("k")).Should().Be("- - -");
    }

    [Fact]
    public async Task A_region_takes_what_the_namespace_takes_and_refuses_what_it_refuses()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Lhr.PutAsync("emoji 🚀", new MemoryStream("streamed"u8.ToArray()), new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(5) });
        (await regions.Lhr.GetTextAsync("emoji 🚀")).Should().Be("streamed");
        (await regions.Lhr.GetAsync("emoji 🚀")).Expiration.Should().NotBeNull();

        Func<Task>[] refused =
        [
            () => regions.Lhr.GetAsync("").AsTask(),
            () => regions.Lhr.PutAsync(".", "v").AsTask(),
            () => regions.Lhr.DeleteAsync("..").AsTask(),
        ];
        foreach (var act in refused)
        {
            await act.Should().ThrowAsync<ArgumentException>();
        }

        Func<Task>[] refusedByTheService =
        [
            () => regions.Lhr.GetAsync(new string('x', 513)).AsTask(),
            () => regions.Lhr.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(29) }).AsTask(),
            () => regions.Lhr.GetManyAsync([]).AsTask(),
            () => regions.Lhr.ListAsync(new KvListOptions { Limit = 1001 }).AsTask(),
            () => regions.Lhr.ListAsync(new KvListOptions { Cursor = "!" }).AsTask(),
            () => regions.Lhr.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) }).AsTask(),
        ];
        foreach (var act in refusedByTheService)
        {
            await act.Should().ThrowAsync<KvException>();
        }
    }

    [Fact]
    public async Task A_hot_key_that_is_overwritten_far_away_does_not_change_before_its_time()
    {
        // Text that is read again and again is cached by the address of its record.
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "old");
        regions.Advance(10);
        for (var i = 0; i < 5; i++)
        {
            (await regions.Lhr.GetTextAsync("k")).Should().Be("old");
        }

        await regions.Jnb.PutAsync("k", "new");
        await regions.Jnb.PutAsync("other", "other");
        for (var i = 0; i < 5; i++)
        {
            (await regions.Lhr.GetTextAsync("k")).Should().Be("old");
            (await regions.Jnb.GetTextAsync("k")).Should().Be("new");
        }

        regions.Advance(10);
        (await regions.Lhr.GetTextAsync("k")).Should().Be("new");
    }

    [Fact]
    public void An_unknown_region_is_named_together_with_those_that_there_are()
    {
        using var regions = new Regions();

        var act = () => regions.Kv.InRegion("fra");

        act.Should().Throw<ArgumentException>().WithMessage("*\"fra\"*jnb, lhr, sfo*");
    }

    [Fact]
    public void A_namespace_without_regions_says_so()
    {
        using var kv = KvNamespace.Create("PLAIN");

        var act = () => kv.InRegion("jnb");

        kv.Replication.Should().BeNull();
        act.Should().Throw<InvalidOperationException>().WithMessage("*\"PLAIN\" is not replicated*");
    }

    [Fact]
    public async Task Regions_end_with_their_namespace()
    {
        var regions = new Regions(Regions.Fixed(10));
        var lhr = regions.Lhr;
        await regions.Jnb.PutAsync("k", "v");

        regions.Dispose();

        Func<Task>[] acts =
        [
            () => lhr.GetAsync("k").AsTask(), () => lhr.GetTextAsync("k").AsTask(), () => lhr.GetManyAsync(["k"]).AsTask(),
            () => lhr.PutAsync("k", "v").AsTask(), () => lhr.DeleteAsync("k").AsTask(), () => lhr.ListAsync().AsTask(),
            () => regions.Kv.GetAsync("k").AsTask(),
        ];
        foreach (var act in acts)
        {
            await act.Should().ThrowAsync<ObjectDisposedException>();
        }

        regions.Time.Advance(TimeSpan.FromMinutes(5));
    }

    [Theory]
    [MemberData(nameof(WrongOptions))]
    public void A_wrong_option_is_named(KvReplicationOptions options, string message)
    {
        var act = () => KvNamespace.Create("KV", new KvNamespaceOptions { Replication = options });

        act.Should().Throw<ArgumentException>().WithMessage(message);
    }

    public static TheoryData<KvReplicationOptions, string> WrongOptions() => new()
    {
        { new KvReplicationOptions(), "*Regions is empty*" },
        { new KvReplicationOptions { Regions = ["a", "a"] }, "*Regions has a name twice*" },
        { new KvReplicationOptions { Regions = ["a", " "] }, "*Regions has an empty name*" },
        { new KvReplicationOptions { Regions = ["a"], HomeRegion = "b" }, "*HomeRegion is none of the regions*one of a*" },
        {
            new KvReplicationOptions { Regions = ["a"], ClockSkew = new Dictionary<string, TimeSpan> { ["b"] = default } },
            "*ClockSkew names \"b\"*one of a*"
        },
        {
            new KvReplicationOptions { Regions = ["a"], EdgeCache = new KvEdgeCacheOptions { CacheTtl = TimeSpan.FromSeconds(29) } },
            "*CacheTtl is 00:00:29*00:00:30*"
        },
        { new KvReplicationOptions { Regions = ["a"], EdgeCache = new KvEdgeCacheOptions { EntriesMax = 0 } }, "*EntriesMax is 0*at least 1*" },
    };

    private static async Task<List<string>> Names(IKvNamespace region, int limit)
    {
        var names = new List<string>();
        string? cursor = null;
        do
        {
            var page = await region.ListAsync(new KvListOptions { Limit = limit, Cursor = cursor });
            page.Keys.Count.Should().BeLessThanOrEqualTo(limit);
            names.AddRange(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);
        return names;
    }

    private sealed class Scripted(Func<double> next) : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation) => TimeSpan.FromSeconds(next());
    }
}
