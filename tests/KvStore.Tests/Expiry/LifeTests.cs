using System.Text;
using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Expiry;

/// <summary>How long entries live beyond what every namespace is held to by its contract.</summary>
public sealed class LifeTests
{
    private static readonly KvLimits s_oneSecond = new() { ExpirationTtlMin = TimeSpan.FromSeconds(1) };

    [Fact]
    public async Task Ttl_of_a_second_put_at_the_end_of_a_second_lives_a_whole_second()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_985));
        await using var kv = Create(time);
        await kv.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(1)));

        time.Advance(TimeSpan.FromMilliseconds(999));
        kv.TryGet("k", out _).Should().BeTrue();
        time.Advance(TimeSpan.FromSeconds(1));
        kv.TryGet("k", out _).Should().BeFalse();
    }

    [Fact]
    public async Task Any_time_to_live_at_any_time_lasts_as_long_and_at_most_a_second_longer()
    {
        var random = new Random(4711);
        var time = new FakeTimeProvider();
        await using var kv = Create(time);
        for (var i = 0; i < 300; i++)
        {
            time.Advance(TimeSpan.FromTicks(random.NextInt64(3 * TimeSpan.TicksPerSecond)));
            var ttl = TimeSpan.FromTicks(random.NextInt64(TimeSpan.TicksPerSecond, 4 * TimeSpan.TicksPerSecond));
            var put = time.GetUtcNow();
            await kv.PutAsync("k", "v", Ttl(ttl));

            (await kv.GetAsync("k")).Expiration!.Value.ToUnixTimeSeconds().Should().Be(put.ToUnixTimeSeconds() + (long)ttl.TotalSeconds, "the binding cuts fractions off");
            time.Advance(ttl - TimeSpan.FromTicks(1));
            kv.TryGet("k", out _).Should().BeTrue("{0} + {1}", put, ttl);
            time.Advance(TimeSpan.FromSeconds(1) + TimeSpan.FromTicks(1));
            kv.TryGet("k", out _).Should().BeFalse("{0} + {1}", put, ttl);
        }
    }

    [Fact]
    public async Task Life_and_expiration_shown_are_the_same_after_recovery()
    {
        for (var milliseconds = 0; milliseconds < 1000; milliseconds += 90)
        {
            var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000 + milliseconds));
            var options = new KvNamespaceOptions { TimeProvider = time, Limits = s_oneSecond, Persistence = new MemoryPersistence() };
            await using (var kv = await KvNamespace.OpenAsync("KV", options))
            {
                await kv.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(5)));
            }

            await using var opened = await KvNamespace.OpenAsync("KV", options);
            (await opened.GetAsync("k")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(1_700_000_005));
            time.Advance(TimeSpan.FromSeconds(5) - TimeSpan.FromTicks(1));
            opened.TryGet("k", out _).Should().BeTrue("it was put {0} ms after a second began", milliseconds);
            time.Advance(TimeSpan.FromSeconds(1) + TimeSpan.FromTicks(1));
            opened.TryGet("k", out _).Should().BeFalse("it was put {0} ms after a second began", milliseconds);
        }
    }

    [Fact]
    public async Task Bulk_file_gives_each_entry_its_time_to_live()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_985));
        await using var kv = Create(time);
        var result = await KvBulk.ImportAsync(kv, new MemoryStream("""[{"key":"k","value":"v","expiration_ttl":2}]"""u8.ToArray()));

        result.Imported.Should().Be(1);
        time.Advance(TimeSpan.FromSeconds(2) - TimeSpan.FromTicks(1));
        kv.TryGet("k", out _).Should().BeTrue();
        time.Advance(TimeSpan.FromSeconds(1));
        kv.TryGet("k", out _).Should().BeFalse();
    }

    [Fact]
    public async Task Exported_entries_can_be_imported_until_2106()
    {
        await using var kv = KvNamespace.Create("KV");
        await kv.PutAsync("20 years", "v", Ttl(TimeSpan.FromDays(20 * 365)));
        await kv.PutAsync("latest", "v", new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(uint.MaxValue) });
        using var file = new MemoryStream();
        await KvBulk.ExportAsync(kv, file);
        file.Position = 0;
        await using var copy = KvNamespace.Create("COPY");

        var result = await KvBulk.ImportAsync(copy, file);

        result.Errors.Should().BeEmpty();
        (await copy.ListAsync()).Keys.Should().Equal((await kv.ListAsync()).Keys);
    }

    [Theory]
    [InlineData("expiration", "4294967296", "Invalid expiration of 4294967296. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).")]
    [InlineData("expiration", "1798000000000", "Invalid expiration of 1798000000000. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).")]
    [InlineData("expiration_ttl", "99999999999999999999", "Invalid expiration_ttl of 99999999999999999999. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).")]
    [InlineData("expiration_ttl", "-99999999999999999999", "Invalid expiration_ttl of -99999999999999999999. Please specify integer greater than 0.")]
    [InlineData("expiration_ttl", "1.5", "\"expiration_ttl\" must be a whole number of seconds.")]
    public async Task Bulk_entry_with_seconds_out_of_range_is_refused_with_its_reason(string name, string seconds, string reason)
    {
        await using var kv = KvNamespace.Create("KV");
        var file = Encoding.UTF8.GetBytes($$"""[{"key":"k","value":"v","{{name}}":{{seconds}}}]""");

        var result = await KvBulk.ImportAsync(kv, new MemoryStream(file));

        result.Errors.Should().ContainSingle().Which.Reason.Should().Contain(reason);
        kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task Clock_before_1970_does_not_wrap_around()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(-100));
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });

        await kv.Invoking(k => k.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(60))).AsTask())
            .Should().ThrowAsync<ArgumentException>().WithMessage("Invalid expiration_ttl of 60. The clock stands at -100 seconds since the Unix epoch*");
        await kv.PutAsync("for good", "v");
        await kv.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(160)));

        (await kv.GetAsync("k")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(60));
        time.Advance(TimeSpan.FromSeconds(160) - TimeSpan.FromTicks(1));
        kv.TryGet("k", out _).Should().BeTrue();
        time.Advance(TimeSpan.FromTicks(1));
        kv.TryGet("k", out _).Should().BeFalse();
        kv.TryGet("for good", out _).Should().BeTrue();
    }

    [Fact]
    public async Task Clock_after_2106_does_not_wrap_around()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(uint.MaxValue - 100));
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        await kv.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(100)));
        await kv.PutAsync("for good", "v");
        await kv.Invoking(k => k.PutAsync("k", "new", Ttl(TimeSpan.FromSeconds(101))).AsTask())
            .Should().ThrowAsync<ArgumentException>().WithMessage("Invalid expiration_ttl of 101. The latest expiration that can be stored is 4294967295*");

        time.Advance(TimeSpan.FromSeconds(99));
        kv.TryGet("k", out _).Should().BeTrue();
        time.Advance(TimeSpan.FromSeconds(100));
        kv.TryGet("k", out _).Should().BeFalse();
        kv.TryGet("for good", out _).Should().BeTrue();
    }

    private static KvNamespace Create(TimeProvider time) =>
        KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time, Limits = s_oneSecond });

    private static KvPutOptions Ttl(TimeSpan ttl) => new() { ExpirationTtl = ttl };
}
