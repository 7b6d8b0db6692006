namespace KvStore.Tests.Writes;

/// <summary>Conditional writes and touches where writes are limited, or made in regions.</summary>
public sealed class ConditionLimitTests : IDisposable
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private KvNamespace? _kv;

    public void Dispose() => _kv?.Dispose();

    [Fact]
    public async Task Write_whose_condition_does_not_hold_does_not_count_as_a_write()
    {
        var kv = _kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _clock, EnforceWriteRate = true });

        (await kv.TryPutAsync("k", "1", KvCondition.Present)).Succeeded.Should().BeFalse();
        (await kv.TouchAsync("k", null)).Should().BeFalse();
        (await kv.TryDeleteAsync("k", KvCondition.Absent)).Succeeded.Should().BeTrue();
        (await kv.TryPutAsync("k", "1", KvCondition.Absent)).Succeeded.Should().BeTrue();

        (await kv.TryPutAsync("k", "2", KvCondition.Absent)).Succeeded.Should().BeFalse("the condition comes first");
        foreach (var write in new Func<Task>[]
        {
            () => kv.TryPutAsync("k", "2", KvCondition.Present).AsTask(),
            () => kv.TryDeleteAsync("k", KvCondition.Present).AsTask(),
            () => kv.TouchAsync("k", null).AsTask(),
            () => kv.PutAsync("k", "2").AsTask(),
        })
        {
            (await write.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(429);
        }

        _clock.Advance(TimeSpan.FromSeconds(1));
        (await kv.TouchAsync("k", TimeSpan.FromSeconds(100))).Should().BeTrue();
        (await kv.Awaiting(kv => kv.PutAsync("k", "2").AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(429);
        _clock.Advance(TimeSpan.FromSeconds(1));
        (await kv.TryPutAsync("k", "2", KvCondition.Present)).Succeeded.Should().BeTrue();
    }

    [Fact]
    public async Task Conditional_put_that_exceeds_a_limit_is_refused_and_a_touch_is_not()
    {
        var kv = _kv = KvNamespace.Create(
            "KV", new KvNamespaceOptions { TimeProvider = _clock, Limits = new KvLimits { NamespaceKeysMax = 1, NamespaceBytesMax = 100 } });
        await kv.TryPutAsync("k", new byte[90], KvCondition.Absent);

        (await kv.Awaiting(kv => kv.TryPutAsync("k", new byte[100], KvCondition.Present).AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);
        (await kv.Awaiting(kv => kv.TryPutAsync("l", "", KvCondition.Absent).AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);
        (await kv.TryPutAsync("l", "", KvCondition.Present)).Succeeded.Should().BeFalse();
        (await kv.TouchAsync("k", TimeSpan.FromSeconds(60))).Should().BeTrue();
        (await kv.TryPutAsync("k", new byte[99], KvCondition.Present)).Succeeded.Should().BeTrue();
    }

    [Fact]
    public async Task Condition_is_checked_against_the_newest_state_and_not_what_a_region_sees()
    {
        var kv = _kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = _clock,
            Replication = new KvReplicationOptions { Regions = ["home", "far"], HomeRegion = "home", Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)) },
        });
        await kv.InRegion("far").PutAsync("k", "far", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        (await kv.GetAsync("k")).Exists.Should().BeFalse("the write has not arrived");

        var refused = await kv.TryPutAsync("k", "home", KvCondition.Absent);
        refused.Should().Be(new KvWriteResult(false, (await kv.InRegion("far").GetAsync("k")).Revision));
        (await kv.TouchAsync("k", TimeSpan.FromSeconds(600))).Should().BeTrue();
        (await kv.InRegion("far").GetAsync("k")).Expiration.Should().BeNull("the touch has not arrived");

        _clock.Advance(TimeSpan.FromSeconds(20));
        foreach (var region in new[] { kv, kv.InRegion("far") })
        {
            var entry = await region.GetAsync("k");
            entry.GetText().Should().Be("far");
            entry.Metadata.ToString().Should().Be("1");
            entry.Expiration.Should().Be(_clock.GetUtcNow().AddSeconds(580));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Conditional_write_wins_over_what_it_was_checked_against_whatever_the_clocks_say(bool isDelete)
    {
        var kv = _kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = _clock,
            Replication = new KvReplicationOptions
            {
                Regions = ["home", "far"],
                HomeRegion = "home",
                Lag = KvLag.Fixed(TimeSpan.FromSeconds(20)),
                ClockSkew = new Dictionary<string, TimeSpan> { ["far"] = TimeSpan.FromSeconds(15) },
            },
        });
        await kv.PutAsync("k", "0");
        _clock.Advance(TimeSpan.FromSeconds(21));
        await kv.InRegion("far").PutAsync("k", "from a clock that is fast");
        var revision = (await kv.InRegion("far").GetAsync("k")).Revision;

        var result = isDelete ? await kv.TryDeleteAsync("k", KvCondition.Revision(revision)) : await kv.TryPutAsync("k", "1", KvCondition.Revision(revision));

        result.Succeeded.Should().BeTrue();
        _clock.Advance(TimeSpan.FromSeconds(40));
        (await kv.GetTextAsync("k")).Should().Be(isDelete ? null : "1");
        (await kv.InRegion("far").GetTextAsync("k")).Should().Be(isDelete ? null : "1");
    }

    [Fact]
    public async Task Condition_that_does_not_hold_asks_for_no_memory()
    {
        var kv = _kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _clock, Memory = new KvMemoryOptions { BytesMax = 1 << 20 } });
        await kv.PutAsync("k", new byte[100]);
        var isFull = false;
        for (var i = 0; !isFull; i++)
        {
            try
            {
                await kv.PutAsync($"filling {i}", new byte[1000]);
            }
            catch (KvException e) when (e.StatusCode == 507)
            {
                isFull = true;
            }
        }

        (await kv.TryPutAsync("k", new byte[100_000], KvCondition.Absent)).Succeeded.Should().BeFalse();
        (await kv.TouchAsync("k", TimeSpan.FromSeconds(60))).Should().BeTrue();
        (await kv.GetAsync("k")).Expiration.Should().NotBeNull();
        (await kv.Awaiting(kv => kv.TryPutAsync("l", new byte[100_000], KvCondition.Absent).AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(507);
    }
}
