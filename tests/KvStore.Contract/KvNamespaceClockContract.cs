namespace KvStore.Contract;

/// <summary>What holds for every namespace as time goes by: <see cref="KvNamespaceContract"/> and expiry.</summary>
public abstract class KvNamespaceClockContract : KvNamespaceContract
{
    /// <summary>The clock that the namespace goes by, which only the test moves.</summary>
    protected FakeTimeProvider Clock { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    protected sealed override TimeProvider Time => Clock;

    [Fact]
    public async Task An_entry_is_there_until_its_second_begins_and_gone_from_then_on_in_every_read()
    {
        await Kv.PutAsync("k", "v", Ttl(60));

        Clock.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        await ShouldHold("k", "v");

        Clock.Advance(TimeSpan.FromTicks(1));
        await ShouldMiss("k");

        Clock.Advance(TimeSpan.FromHours(1));
        await ShouldMiss("k");
    }

    [Fact]
    public async Task Entry_lives_its_full_ttl_at_any_fraction_of_a_second_and_shows_whole_seconds()
    {
        var random = new Random(20261126);
        for (var i = 0; i < 40; i++)
        {
            Clock.Advance(TimeSpan.FromTicks(random.NextInt64(3 * TimeSpan.TicksPerSecond)));
            var put = Clock.GetUtcNow();
            var seconds = 60 + random.Next(5);
            var key = $"key {i}";
            if (i % 2 == 0)
            {
                await Kv.PutAsync(key, "v", Ttl(seconds));
            }
            else
            {
                await Kv.PutAsync(key, new MemoryStream("v"u8.ToArray()), Ttl(seconds));
            }

            (await Kv.ListAsync(new KvListOptions { Prefix = key })).Keys.Should().ContainSingle()
                .Which.Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(put.ToUnixTimeSeconds() + seconds));
            Clock.Advance(TimeSpan.FromSeconds(seconds) - TimeSpan.FromTicks(1));
            await ShouldHold(key, "v");
            Clock.Advance(TimeSpan.FromSeconds(1) + TimeSpan.FromTicks(1));
            await ShouldMiss(key);
        }
    }

    [Fact]
    public async Task Time_to_live_of_a_slow_stream_begins_when_the_stream_has_ended()
    {
        var stream = new CallingStream(() => Clock.Advance(TimeSpan.FromSeconds(45)));

        await Kv.PutAsync("k", stream, Ttl(60));

        Clock.Advance(TimeSpan.FromSeconds(60) - TimeSpan.FromTicks(1));
        await ShouldHold("k", "v");
        Clock.Advance(TimeSpan.FromSeconds(1) + TimeSpan.FromTicks(1));
        await ShouldMiss("k");
    }

    [Fact]
    public async Task Every_expiration_that_can_be_read_can_be_written()
    {
        await Kv.PutAsync("ttl", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(20 * 365) });
        var read = await ExpirationOf("ttl");
        read!.Value.ToUnixTimeSeconds().Should().BeGreaterThan(int.MaxValue);
        var latest = DateTimeOffset.FromUnixTimeSeconds(uint.MaxValue);

        await Kv.PutAsync("again", "v", new KvPutOptions { Expiration = read });
        await Kv.PutAsync("latest", "v", new KvPutOptions { Expiration = latest });
        await Kv.PutAsync("70 years", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(70 * 365) });

        (await ExpirationOf("again")).Should().Be(read);
        (await ExpirationOf("latest")).Should().Be(latest);
        foreach (var key in await Names())
        {
            await ShouldHold(key, "v");
        }
    }

    [Fact]
    public async Task An_expiration_must_be_60_seconds_ahead_of_the_second_that_has_begun()
    {
        var now = Clock.GetUtcNow().ToUnixTimeSeconds();
        Clock.Advance(TimeSpan.FromMilliseconds(900));
        await Kv.PutAsync("k", "v", At(now + 60));

        (await ExpirationOf("k")).Should().Be(DateTimeOffset.FromUnixTimeSeconds(now + 60));
        await ShouldRefuse(
            () => Kv.PutAsync("k", "new", At(now + 59)).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration of {now + 59}. Expiration times must be at least 60 seconds in the future."));
        await ShouldRefuse(
            () => Kv.PutAsync("k", "new", At(now + 1)).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration of {now + 1}. Expiration times must be at least 60 seconds in the future."));
        await ShouldRefuse(
            () => Kv.PutAsync("k", "new", At(now)).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration of {now}. Please specify integer greater than the current number of seconds since the UNIX epoch."));

        Clock.Advance(TimeSpan.FromMilliseconds(59_099));
        await ShouldHold("k", "v");
        Clock.Advance(TimeSpan.FromMilliseconds(1));
        await ShouldMiss("k");
    }

    [Fact]
    public async Task Reading_does_not_make_an_entry_live_longer()
    {
        await Kv.PutAsync("k", "v", Ttl(60));
        for (var i = 0; i < 6; i++)
        {
            await ShouldHold("k", "v");
            Clock.Advance(TimeSpan.FromSeconds(10));
        }

        await ShouldMiss("k");
    }

    [Fact]
    public async Task A_put_gives_a_new_time_to_live_or_none()
    {
        await Kv.PutAsync("longer", "1", Ttl(60));
        await Kv.PutAsync("shorter", "1", Ttl(600));
        await Kv.PutAsync("for good", "1", Ttl(60));
        await Kv.PutAsync("no more for good", "1");
        Clock.Advance(TimeSpan.FromSeconds(30));
        await Kv.PutAsync("longer", "2", Ttl(600));
        await Kv.PutAsync("shorter", "2", Ttl(60));
        await Kv.PutAsync("for good", "2");
        await Kv.PutAsync("no more for good", "2", Ttl(60));

        Clock.Advance(TimeSpan.FromSeconds(60));

        await ShouldHold("longer", "2");
        await ShouldMiss("shorter");
        await ShouldHold("for good", "2");
        await ShouldMiss("no more for good");
        Clock.Advance(TimeSpan.FromHours(2));
        (await Names()).Should().Equal("for good");
    }

    [Fact]
    public async Task An_expired_key_may_be_put_anew_without_anything_of_the_old_entry()
    {
        await Kv.PutAsync("k", "old", Ttl(60) with { Metadata = KvMetadata.FromJson("1") });
        Clock.Advance(TimeSpan.FromSeconds(61));
        await Kv.PutAsync("k", "new");

        await ShouldHold("k", "new");
        (await Kv.GetAsync("k")).Metadata.IsNull.Should().BeTrue();
        Clock.Advance(TimeSpan.FromHours(1));
        await ShouldHold("k", "new");
    }

    [Fact]
    public async Task An_expired_key_may_be_deleted()
    {
        await Kv.PutAsync("k", "v", Ttl(60));
        Clock.Advance(TimeSpan.FromSeconds(60));

        await Kv.DeleteAsync("k");

        await ShouldMiss("k");
        await Kv.PutAsync("k", "again");
        await ShouldHold("k", "again");
    }

    [Fact]
    public async Task Expired_keys_do_not_count_towards_the_limit_of_a_page()
    {
        for (var i = 0; i < 60; i++)
        {
            await Kv.PutAsync($"k{i:D2}", "v", i % 3 == 0 ? null : Ttl(60 + (i % 3)));
        }

        Clock.Advance(TimeSpan.FromSeconds(61));
        var page = await Kv.ListAsync(new KvListOptions { Limit = 40 });
        page.Keys.Should().HaveCount(40);
        page.ListComplete.Should().BeTrue();

        Clock.Advance(TimeSpan.FromSeconds(1));
        page = await Kv.ListAsync(new KvListOptions { Limit = 10 });
        page.Keys.Select(key => key.Name).Should().Equal(Enumerable.Range(0, 10).Select(i => $"k{3 * i:D2}"));
        page.ListComplete.Should().BeFalse();
        page = await Kv.ListAsync(new KvListOptions { Limit = 10, Cursor = page.Cursor });
        page.Keys.Should().HaveCount(10);
        page.ListComplete.Should().BeTrue();
    }

    [Fact]
    public async Task A_cursor_outlives_the_expiry_of_its_key_and_of_all_that_follow()
    {
        await PutAll(Enumerable.Range(1, KeysAPageMin - 1).Select(i => $"A{i}"));
        await Kv.PutAsync("a", "v", Ttl(60));
        await Kv.PutAsync("b", "v");
        await Kv.PutAsync("c", "v", Ttl(120));
        var cursor = (await Kv.ListAsync(new KvListOptions { Limit = KeysAPageMin })).Cursor;

        Clock.Advance(TimeSpan.FromSeconds(60));
        (await Kv.ListAsync(new KvListOptions { Cursor = cursor })).Keys.Select(key => key.Name).Should().Equal("b", "c");

        await Kv.DeleteAsync("b");
        Clock.Advance(TimeSpan.FromSeconds(60));
        var page = await Kv.ListAsync(new KvListOptions { Cursor = cursor });
        page.Keys.Should().BeEmpty();
        page.ListComplete.Should().BeTrue();
    }

    [Fact]
    public async Task Value_that_was_read_is_unchanged_when_the_entry_has_expired()
    {
        await Kv.PutAsync("k", "value", Ttl(60) with { Metadata = KvMetadata.FromJson("[1]") });
        var entry = await Kv.GetAsync("k");
        await using var stream = await Kv.GetStreamAsync("k");

        Clock.Advance(TimeSpan.FromHours(1));
        await PutAll(Enumerable.Range(0, 200).Select(i => $"other {i}"));

        entry.GetText().Should().Be("value");
        entry.Metadata.ToString().Should().Be("[1]");
        (await new StreamReader(stream!).ReadToEndAsync()).Should().Be("value");
    }

    [Fact]
    public async Task Each_entry_expires_in_its_own_second()
    {
        for (var i = 0; i < 40; i++)
        {
            await Kv.PutAsync($"k{i:D2}", "v", Ttl(60 + i));
        }

        Clock.Advance(TimeSpan.FromSeconds(60));
        for (var i = 0; i < 40; i++)
        {
            (await Names()).Should().Equal(Enumerable.Range(i + 1, 39 - i).Select(n => $"k{n:D2}"));
            (await Kv.GetAsync($"k{i:D2}")).Exists.Should().BeFalse();
            Clock.Advance(TimeSpan.FromSeconds(1));
        }
    }

    private static KvPutOptions Ttl(int seconds) => new() { ExpirationTtl = TimeSpan.FromSeconds(seconds) };

    private static KvPutOptions At(long seconds) => new() { Expiration = DateTimeOffset.FromUnixTimeSeconds(seconds) };

    private async Task ShouldHold(string key, string value)
    {
        (await Kv.GetTextAsync(key)).Should().Be(value);
        (await Kv.GetAsync(key)).Exists.Should().BeTrue();
        (await Kv.GetManyAsync([key]))[key].GetText().Should().Be(value);
        (await Names(key)).Should().Contain(key);
    }

    private async Task ShouldMiss(string key)
    {
        (await Kv.GetTextAsync(key)).Should().BeNull();
        (await Kv.GetAsync(key)).Exists.Should().BeFalse();
        (await Kv.GetManyAsync([key]))[key].Exists.Should().BeFalse();
        (await Names(key)).Should().NotContain(key);
    }
}
