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
    [InlineData("expiration_ttl", "1e400", "\"expiration_ttl\" must be a whole number of seconds.")]
    [InlineData("expiration_ttl", "1e40", "Invalid expiration_ttl. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).")]
    [InlineData("expiration", "-1e40", "Invalid expiration. Please specify integer greater than the current number of seconds since the UNIX epoch.")]
    [InlineData("expiration", "1.798e12", "Invalid expiration of 1798000000000. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).")]
    public async Task Bulk_entry_with_seconds_out_of_range_is_refused_with_its_reason(string name, string seconds, string reason)
    {
        await using var kv = KvNamespace.Create("KV");
        var file = Encoding.UTF8.GetBytes($$"""[{"key":"k","value":"v","{{name}}":{{seconds}}}]""");

        var result = await KvBulk.ImportAsync(kv, new MemoryStream(file));

        result.Errors.Should().ContainSingle().Which.Reason.Should().Contain(reason);
        kv.Count.Should().Be(0);
    }

    [Theory]
    [InlineData("60")]
    [InlineData("60.0")]
    [InlineData("6e1")]
    [InlineData("6.0E+1")]
    public async Task Bulk_entry_may_write_its_whole_seconds_as_json_writes_numbers(string seconds)
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1000));
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        var file = Encoding.UTF8.GetBytes($$"""[{"key":"k","value":"v","expiration_ttl":{{seconds}}}]""");

        var result = await KvBulk.ImportAsync(kv, new MemoryStream(file));

        result.Errors.Should().BeEmpty();
        (await kv.GetAsync("k")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(1060));
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

    public static TheoryData<long, long> ClocksAndExpirations()
    {
        TheoryData<long, long> all = [];
        long[] seconds =
        [
            -62_135_596_800, -315_619_200, -100, -1, 0, 1, 59, 60, 61, 1_800_000_000, 4_102_444_800, Latest - 60, Latest - 1, Latest, Latest + 1, 4_354_819_200, 253_402_300_799,
        ];
        foreach (var clock in seconds)
        {
            foreach (var expiration in seconds)
            {
                all.Add(clock, expiration);
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(ClocksAndExpirations))]
    public async Task Every_clock_takes_an_expiration_or_gives_the_true_reason(long clock, long expiration)
    {
        await using var kv = Create(new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(clock)));
        var refusal = await RefusalAsync(() => kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(expiration) }));

        await MatchesAsync(kv, refusal, expiration, expiration <= clock
            ? "integer greater than the current number of seconds since the UNIX epoch."
            : ReasonFor(expiration, clock));
    }

    [Theory]
    [MemberData(nameof(ClocksAndExpirations))]
    public async Task Every_clock_takes_a_time_to_live_or_gives_the_true_reason(long clock, long expiration)
    {
        await using var kv = Create(new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(clock)));
        var refusal = await RefusalAsync(() => kv.PutAsync("k", "v", Ttl(TimeSpan.FromSeconds(expiration - clock))));

        await MatchesAsync(kv, refusal, expiration, expiration <= clock ? "Please specify integer greater than 0." : ReasonFor(expiration, clock));
    }

    [Theory]
    [InlineData(-100.5, 0.5)]
    [InlineData(-100.5, 1.5)]
    [InlineData(-0.5, 0.9)]
    [InlineData(-0.5, 1.4)]
    [InlineData(4294967290.25, 4294967295.5)]
    [InlineData(4294967290.25, 4294967295)]
    public async Task Expiration_with_a_fraction_that_is_taken_can_be_put_again(double clock, double expiration)
    {
        await using var kv = Create(new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddSeconds(clock)));
        KvPutOptions[] both = [new() { Expiration = DateTimeOffset.UnixEpoch.AddSeconds(expiration) }, Ttl(TimeSpan.FromSeconds(expiration - clock))];
        foreach (var options in both)
        {
            if (await RefusalAsync(() => kv.PutAsync("k", "v", options)) is null)
            {
                var shown = (await kv.GetAsync("k")).Expiration;
                shown.Should().NotBeNull();
                await kv.PutAsync("again", "v", new KvPutOptions { Expiration = shown });
                (await kv.GetAsync("again")).Expiration.Should().Be(shown);
            }
        }
    }

    private const long Latest = uint.MaxValue;

    // Null when the expiration can be kept.
    private static string? ReasonFor(long expiration, long clock) =>
        expiration < 1 ? FormattableString.Invariant($"The clock stands at {clock} seconds since the Unix epoch, and no expiration before 1 can be stored.")
        : expiration > Latest ? "The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z)."
        : null;

    private static async Task MatchesAsync(KvNamespace kv, Exception? refusal, long expiration, string? reason)
    {
        if (reason is null)
        {
            refusal.Should().BeNull();
            (await kv.GetAsync("k")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(expiration));
        }
        else
        {
            refusal.Should().NotBeNull();
            refusal!.Message.Should().Contain(reason);
            kv.Count.Should().Be(0);
        }
    }

    private static async Task<Exception?> RefusalAsync(Func<ValueTask> put)
    {
        try
        {
            await put();
            return null;
        }
        catch (Exception e) when (e is KvException or ArgumentException)
        {
            return e;
        }
    }

    private static KvNamespace Create(TimeProvider time) =>
        KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time, Limits = s_oneSecond });

    private static KvPutOptions Ttl(TimeSpan ttl) => new() { ExpirationTtl = ttl };
}
