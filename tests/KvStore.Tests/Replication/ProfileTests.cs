namespace KvStore.Tests.Replication;

public sealed class ProfileTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task The_classic_service_caches_in_each_region()
    {
        await using var kv = Create(KvProfile.WorkersKv);
        await kv.PutAsync("k", "old");
        await kv.InRegion("lhr").GetAsync("k");
        await kv.PutAsync("k", "new");

        (await kv.InRegion("lhr").GetAsync("k")).CacheStatus.Should().Be("HIT");
        (await kv.InRegion("lhr").GetTextAsync("k")).Should().Be("old");
        (await kv.InRegion("sfo").GetTextAsync("k")).Should().Be("new");
    }

    [Fact]
    public async Task The_instant_service_pushes_to_every_region_within_a_third_of_a_second()
    {
        await using var kv = Create(KvProfile.Instant);
        await kv.PutAsync("k", "v");

        (await kv.InRegion("lhr").GetTextAsync("k")).Should().BeNull();
        _time.Advance(TimeSpan.FromMilliseconds(332));
        (await kv.InRegion("lhr").GetTextAsync("k")).Should().Be("v");
        (await kv.InRegion("lhr").GetAsync("k")).CacheStatus.Should().BeNull();
    }

    [Fact]
    public async Task The_instant_service_has_smaller_limits()
    {
        await using var kv = Create(KvProfile.Instant);

        await Refused(() => kv.PutAsync(new string('x', 301), "v"), 414);
        await Refused(() => kv.PutAsync("k", new byte[(1024 * 1024) + 1]), 413);
        await Refused(() => kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson("1") }), 413);
        await Refused(async () => await kv.ListAsync(new KvListOptions { Limit = 10 }), 400);
        await kv.PutAsync(new string('x', 300), "v");
        (await kv.ListAsync()).Keys.Should().ContainSingle();
    }

    [Fact]
    public async Task A_namespace_takes_no_more_keys_than_its_limit()
    {
        await using var kv = Create(KvProfile.Instant, limits => limits with { NamespaceKeysMax = 3 });
        await kv.PutAsync("a", "v");
        await kv.PutAsync("b", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await kv.PutAsync("c", "v");

        await Refused(() => kv.PutAsync("d", "v"), 413);
        await kv.PutAsync("c", "overwritten");
        _time.Advance(TimeSpan.FromMinutes(1));
        await kv.PutAsync("d", "v");
        await Refused(() => kv.PutAsync("e", "v"), 413);
        await kv.DeleteAsync("a");
        await kv.PutAsync("e", "v");
    }

    [Fact]
    public async Task A_namespace_takes_no_more_bytes_than_its_limit()
    {
        await using var kv = Create(KvProfile.WorkersKv, limits => limits with { NamespaceBytesMax = 1000 });
        await kv.PutAsync("a", new byte[600]);

        await Refused(() => kv.PutAsync("b", new byte[399]), 413);
        await Refused(() => kv.PutAsync("b", new MemoryStream(new byte[399])), 413);
        await kv.PutAsync("b", new byte[398]);
        await kv.PutAsync("a", new byte[600]);
        await Refused(() => kv.PutAsync("a", new byte[601]), 413);
    }

    [Fact]
    public async Task Refusal_over_capacity_names_the_key_and_the_namespace()
    {
        await using var kv = Create(KvProfile.WorkersKv, limits => limits with { NamespaceBytesMax = 1000, NamespaceKeysMax = 2 });
        await kv.PutAsync("a", new byte[600]);

        var tooLarge = () => kv.PutAsync("line\nbreak é", new byte[399]).AsTask();
        await tooLarge.Should().ThrowAsync<KvException>().WithMessage(
            """KV PUT failed: 413 The namespace "KV" would hold 1013 bytes with the key "line\u000Abreak é", exceeding its limit of 1000.""");
        await kv.PutAsync("b", "v");
        var tooMany = () => kv.PutAsync(new string('x', 100), "v").AsTask();
        await tooMany.Should().ThrowAsync<KvException>().WithMessage(
            $"""KV PUT failed: 413 The namespace "KV" would hold 3 keys with the key "{new string('x', 64)}…" (36 more characters), exceeding its limit of 2.""");
    }

    [Fact]
    public async Task A_second_write_to_one_key_within_a_second_is_too_many_requests()
    {
        await using var kv = Create(KvProfile.WorkersKv, enforceWriteRate: true);
        await kv.PutAsync("k", "v1");
        await kv.PutAsync("other", "v");
        _time.Advance(TimeSpan.FromMilliseconds(999));

        var put = () => kv.PutAsync("k", "v2").AsTask();
        (await put.Should().ThrowAsync<KvException>().WithMessage(
            """KV PUT failed: 429 Too Many Requests: the key "k" was refused. Each key of the namespace "KV" takes one write in 1 seconds. Wait, and try again.""")).Which.StatusCode.Should().Be(429);
        var delete = () => kv.InRegion("lhr").DeleteAsync("k").AsTask();
        await delete.Should().ThrowAsync<KvException>().WithMessage("KV DELETE failed: 429 Too Many Requests: the key \"k\" was refused. Each key of*");
        (await kv.GetTextAsync("k")).Should().Be("v1");

        _time.Advance(TimeSpan.FromMilliseconds(1));
        await kv.PutAsync("k", "v2");
        (await kv.GetTextAsync("k")).Should().Be("v2");
    }

    [Fact]
    public async Task The_instant_service_allows_one_write_a_second_to_the_whole_namespace()
    {
        await using var kv = Create(KvProfile.Instant, enforceWriteRate: true);
        await kv.PutAsync("a", "v");

        await Refused(() => kv.PutAsync("b", "v"), 429);
        _time.Advance(TimeSpan.FromSeconds(1));
        await kv.PutAsync("b", "v");
    }

    [Fact]
    public async Task Many_keys_written_at_different_times_each_have_their_own_second()
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _time, EnforceWriteRate = true });
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 5000; i++)
            {
                await kv.PutAsync($"k{i}", "v");
            }

            await Refused(() => kv.PutAsync("k0", "v"), 429);
            await Refused(() => kv.PutAsync("k4999", "v"), 429);
            _time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public async Task Put_refused_for_another_reason_does_not_count_for_the_write_rate()
    {
        await using var kv = Create(KvProfile.WorkersKv, limits => limits with { ValueBytesMax = 10 }, enforceWriteRate: true);

        await Refused(() => kv.PutAsync("k", new byte[11]), 413);
        await kv.PutAsync("k", "v");
    }

    [Fact]
    public async Task Without_the_switch_there_is_no_rate()
    {
        await using var kv = Create(KvProfile.Instant);
        await kv.PutAsync("k", "v");
        await kv.PutAsync("k", "v");
    }

    [Fact]
    public void Profile_keeps_regions_and_clock_and_has_a_single_region_where_there_are_none()
    {
        var options = KvProfile.Instant.Apply(new KvNamespaceOptions
        {
            TimeProvider = _time,
            Replication = new KvReplicationOptions { Regions = ["a", "b"], HomeRegion = "b" },
        });

        options.Replication!.Regions.Should().Equal("a", "b");
        options.Replication.HomeRegion.Should().Be("b");
        options.TimeProvider.Should().BeSameAs(_time);
        KvProfile.WorkersKv.Apply(new KvNamespaceOptions()).Replication!.Regions.Should().Equal("home");
    }

    [Theory]
    [InlineData(0L, null, "*NamespaceKeysMax is 0*")]
    [InlineData(null, 0L, "*NamespaceBytesMax is 0*")]
    public void A_limit_of_nothing_is_refused(long? keys, long? bytes, string message)
    {
        var act = () => KvNamespace.Create("KV", new KvNamespaceOptions { Limits = new KvLimits { NamespaceKeysMax = keys, NamespaceBytesMax = bytes } });

        act.Should().Throw<ArgumentException>().WithMessage(message);
    }

    private static async Task Refused(Func<ValueTask> act, int status)
    {
        var task = () => act().AsTask();
        (await task.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(status);
    }

    private KvNamespace Create(KvProfile profile, Func<KvLimits, KvLimits>? limits = null, bool enforceWriteRate = false)
    {
        var options = profile.Apply(new KvNamespaceOptions
        {
            TimeProvider = _time,
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr", "sfo"] },
            EnforceWriteRate = enforceWriteRate,
        });
        return KvNamespace.Create("KV", limits is null ? options : options with { Limits = limits(options.Limits) });
    }
}
