namespace KvStore.Tests.Contract;

/// <content>A new time to live for an entry.</content>
public abstract partial class KvExtendedNamespaceContract
{
    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    [InlineData(LargeBytes)]
    public async Task Touch_gives_a_new_time_to_live_and_keeps_value_and_metadata(int length)
    {
        var value = new byte[length];
        Random.Shared.NextBytes(value);
        await Kv.PutAsync("k", value, Ttl(60) with { Metadata = KvMetadata.FromJson("""{"a":[1,2]}""") });
        var before = await Kv.GetAsync("k");
        Clock.Advance(TimeSpan.FromSeconds(30));

        (await Kv.TouchAsync("k", TimeSpan.FromSeconds(100))).Should().BeTrue();

        var after = await Kv.GetAsync("k");
        after.Revision.Should().BeGreaterThan(before.Revision);
        after.Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(100));
        await ShouldHoldUntil(100);
        await ReopenAsync();
        Clock.Advance(TimeSpan.FromSeconds(100) - TimeSpan.FromTicks(1));
        await ShouldHoldUntil(0);
        Clock.Advance(TimeSpan.FromTicks(1));
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
        (await Names()).Should().BeEmpty();
        await ReopenAsync();
        (await Kv.GetAsync("k")).Exists.Should().BeFalse();

        async Task ShouldHoldUntil(int seconds)
        {
            using var entry = await Kv.GetAsync("k");
            entry.Exists.Should().BeTrue();
            entry.Metadata.ToString().Should().Be("""{"a":[1,2]}""");
            entry.Revision.Should().Be(after.Revision);
            (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(value);
            (await Names()).Should().Equal("k");
            seconds.Should().BeGreaterThanOrEqualTo(0);
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task Touch_with_a_condition_meets_only_the_version_that_was_read(int length)
    {
        await Kv.PutAsync("k", new byte[length], Ttl(60));
        var first = (await Kv.GetAsync("k")).Revision;

        var touched = await Kv.TryTouchAsync("k", TimeSpan.FromSeconds(100), KvCondition.Revision(first));
        var late = await Kv.TryTouchAsync("k", TimeSpan.FromSeconds(200), KvCondition.Revision(first));

        touched.Succeeded.Should().BeTrue();
        touched.Revision.Should().BeGreaterThan(first).And.Be((await Kv.GetAsync("k")).Revision);
        late.Should().Be(new KvWriteResult(false, touched.Revision));
        (await Kv.GetAsync("k")).Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(100));
        await ReopenAsync();
        (await Kv.GetAsync("k")).Revision.Should().Be(touched.Revision);
        (await Kv.TryTouchAsync("k", null, KvCondition.Present)).Succeeded.Should().BeTrue();
        var standing = (await Kv.GetAsync("k")).Revision;
        (await Kv.TryTouchAsync("k", null, KvCondition.Absent)).Should().Be(new KvWriteResult(false, standing));
        await Kv.DeleteAsync("k");
        foreach (var condition in new[] { KvCondition.Present, KvCondition.Absent, KvCondition.Revision(standing) })
        {
            (await Kv.TryTouchAsync("k", null, condition)).Should().Be(default(KvWriteResult));
        }

        await Kv.Invoking(kv => kv.TryTouchAsync("k", null, default).AsTask()).Should().ThrowAsync<ArgumentException>();
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task Touch_without_a_time_to_live_keeps_an_entry_for_good(int length)
    {
        await Kv.PutAsync("k", new byte[length], Ttl(60));

        (await Kv.TouchAsync("k", null)).Should().BeTrue();

        (await Kv.GetAsync("k")).Expiration.Should().BeNull();
        await ReopenAsync();
        Clock.Advance(TimeSpan.FromDays(1000));
        (await Kv.GetBytesAsync("k"))!.Value.Length.Should().Be(length);
        await ReopenAsync();
        (await Kv.GetBytesAsync("k"))!.Value.Length.Should().Be(length);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task Touch_may_shorten_a_life(int length)
    {
        await Kv.PutAsync("forever", new byte[length]);
        await Kv.PutAsync("long", new byte[length], Ttl(6000));

        (await Kv.TouchAsync("forever", TimeSpan.FromSeconds(60))).Should().BeTrue();
        (await Kv.TouchAsync("long", TimeSpan.FromSeconds(61))).Should().BeTrue();

        Clock.Advance(TimeSpan.FromSeconds(60));
        (await Names()).Should().Equal("long");
        await ReopenAsync();
        (await Names()).Should().Equal("long");
        Clock.Advance(TimeSpan.FromSeconds(1));
        await ReopenAsync();
        (await Names()).Should().BeEmpty();
        (await Kv.GetAsync("forever")).Exists.Should().BeFalse();
        (await Kv.GetAsync("long")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Touch_of_a_key_that_does_not_exist_is_false_and_writes_nothing()
    {
        (await Kv.TouchAsync("never", TimeSpan.FromSeconds(60))).Should().BeFalse();
        await Kv.PutAsync("deleted", "v");
        await Kv.DeleteAsync("deleted");
        (await Kv.TouchAsync("deleted", null)).Should().BeFalse();
        await Kv.PutAsync("expired", "v", Ttl(60));
        Clock.Advance(TimeSpan.FromSeconds(60));
        (await Kv.TouchAsync("expired", null)).Should().BeFalse();

        (await Names()).Should().BeEmpty();
        await ReopenAsync();
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Touch_at_every_boundary_of_expiry_finds_the_entry_until_its_deadline()
    {
        // The fraction of a second at which the put is made, and the moment of the touch before its deadline, in ticks.
        long[] fractions = [0, 1, TimeSpan.TicksPerSecond / 2 - 1, TimeSpan.TicksPerSecond / 2, TimeSpan.TicksPerSecond / 2 + 1, TimeSpan.TicksPerSecond - 1];
        long[] moments = [-1, 0, 1, TimeSpan.TicksPerSecond / 2, TimeSpan.TicksPerSecond / 2 + 1, TimeSpan.TicksPerSecond];
        var round = 0;
        foreach (var fraction in fractions)
        {
            foreach (var moment in moments)
            {
                AdvanceToFraction(fraction);
                var key = $"k{round++}";
                await Kv.PutAsync(key, "v", Ttl(60));
                Clock.Advance(TimeSpan.FromTicks(DeadlineTicks(Clock.GetUtcNow(), 60) - Clock.GetUtcNow().UtcTicks - moment));
                (await Kv.GetAsync(key)).Exists.Should().Be(moment > 0, "the put was made at {0} and {1} ticks are left", fraction, moment);

                (await Kv.TouchAsync(key, TimeSpan.FromSeconds(90))).Should().Be(moment > 0, "the put was made at {0} and {1} ticks are left", fraction, moment);

                if (moment > 0)
                {
                    var touched = Clock.GetUtcNow();
                    (await Kv.GetAsync(key)).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(touched.ToUnixTimeSeconds() + 90));
                    var deadline = DeadlineTicks(touched, 90);
                    if (round % 3 == 0)
                    {
                        await ReopenAsync();
                    }

                    Clock.Advance(TimeSpan.FromTicks(deadline - touched.UtcTicks - 1));
                    (await Kv.GetTextAsync(key)).Should().Be("v");
                    Clock.Advance(TimeSpan.FromTicks(1));
                }

                (await Kv.GetAsync(key)).Exists.Should().BeFalse();
            }
        }

        // An entry is gone at the first half second at which its time to live has passed.
        static long DeadlineTicks(DateTimeOffset now, int seconds)
        {
            const long Half = TimeSpan.TicksPerSecond / 2;
            var end = now.UtcTicks + (seconds * TimeSpan.TicksPerSecond);
            return (end + Half - 1) / Half * Half;
        }

        void AdvanceToFraction(long fraction)
        {
            var ticks = Clock.GetUtcNow().UtcTicks % TimeSpan.TicksPerSecond;
            Clock.Advance(TimeSpan.FromTicks((fraction - ticks + TimeSpan.TicksPerSecond) % TimeSpan.TicksPerSecond));
        }
    }

    [Fact]
    public async Task Time_to_live_of_a_touch_is_checked_as_that_of_a_put()
    {
        await Kv.PutAsync("k", "v", Ttl(600));
        var revision = await RevisionOf("k");
        foreach (var (ttl, message) in new[]
        {
            (TimeSpan.Zero, "KV TOUCH failed: 400 Invalid expiration_ttl of 0. Please specify integer greater than 0."),
            (TimeSpan.FromSeconds(-1), "KV TOUCH failed: 400 Invalid expiration_ttl of -1. Please specify integer greater than 0."),
            (TimeSpan.FromSeconds(59.9), "KV TOUCH failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60."),
        })
        {
            (await Kv.Awaiting(kv => kv.TouchAsync("k", ttl).AsTask()).Should().ThrowAsync<KvException>()).Which.Message.Should().Be(message);
        }

        await Kv.Awaiting(kv => kv.TouchAsync("k", TimeSpan.MaxValue).AsTask()).Should().ThrowAsync<ArgumentException>();
        await Kv.Awaiting(kv => kv.TouchAsync(null!, null).AsTask()).Should().ThrowAsync<ArgumentNullException>();
        await Kv.Awaiting(kv => kv.TouchAsync("..", null).AsTask()).Should().ThrowAsync<ArgumentException>();
        await Kv.Awaiting(kv => kv.TouchAsync(new string('ü', 257), null).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 414 && e.Operation == "TOUCH");
        await Kv.Awaiting(kv => kv.TouchAsync("k", null, new CancellationToken(true)).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        (await RevisionOf("k")).Should().Be(revision);
        await Kv.DisposeAsync();
        await Kv.Awaiting(kv => kv.TouchAsync("k", null).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Touch_applies_to_the_writes_that_were_called_before_it()
    {
        var put = Kv.PutAsync("k", "1", Ttl(60)).AsTask();
        var touch = Kv.TouchAsync("k", TimeSpan.FromSeconds(600)).AsTask();
        await Task.WhenAll(put, touch);
        (await touch).Should().BeTrue();
        (await Kv.GetAsync("k")).Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(600));

        touch = Kv.TouchAsync("k", TimeSpan.FromSeconds(700)).AsTask();
        put = Kv.PutAsync("k", "2", Ttl(60)).AsTask();
        await Task.WhenAll(put, touch);
        (await touch).Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("2");
        (await Kv.GetAsync("k")).Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(60));

        var delete = Kv.DeleteAsync("k").AsTask();
        touch = Kv.TouchAsync("k", null).AsTask();
        await Task.WhenAll(delete, touch);
        (await touch).Should().BeFalse();
        await ReopenAsync();
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Touch_changes_the_revision_that_a_condition_names()
    {
        var put = await Kv.TryPutAsync("k", "1", KvCondition.Absent);
        await Kv.TouchAsync("k", null);

        var refused = await Kv.TryPutAsync("k", "2", KvCondition.Revision(put.Revision));

        refused.Succeeded.Should().BeFalse();
        (await Kv.TryPutAsync("k", "3", KvCondition.Revision(refused.Revision))).Succeeded.Should().BeTrue();
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task View_that_was_read_before_a_touch_does_not_change(int length)
    {
        await Kv.PutAsync("k", new string('x', length), Ttl(60));
        using var view = await Kv.GetAsync("k");
        var (revision, expiration) = (view.Revision, view.Expiration);

        await Kv.TouchAsync("k", TimeSpan.FromSeconds(600));
        await Kv.TouchAsync("k", null);

        view.Revision.Should().Be(revision);
        view.Expiration.Should().Be(expiration);
        using var reader = new StreamReader(view.OpenStream());
        (await reader.ReadToEndAsync()).Should().Be(new string('x', length));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(LargeBytes)]
    public async Task Entry_that_was_touched_may_be_put_deleted_and_touched_again(int length)
    {
        for (var round = 0; round < 3; round++)
        {
            await Kv.PutAsync("k", new byte[length], Ttl(60));
            for (var i = 0; i < 5; i++)
            {
                Clock.Advance(TimeSpan.FromSeconds(59));
                (await Kv.TouchAsync("k", TimeSpan.FromSeconds(60))).Should().BeTrue();
            }

            (await Kv.GetBytesAsync("k"))!.Value.Length.Should().Be(length);
            await ReopenAsync();
            (await Kv.GetBytesAsync("k"))!.Value.Length.Should().Be(length);
            switch (round)
            {
                case 0:
                    await Kv.DeleteAsync("k");
                    break;
                case 1:
                    Clock.Advance(TimeSpan.FromSeconds(60));
                    break;
                default:
                    await Kv.PutAsync("k", "other");
                    break;
            }

            await ReopenAsync();
            (await Kv.GetTextAsync("k")).Should().Be(round == 2 ? "other" : null);
        }
    }

    [Fact]
    public async Task Touches_by_many_tasks_and_puts_leave_one_of_the_values_whole()
    {
        await Kv.PutAsync("k", "0");
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
        {
            for (var n = 0; n < 40; n++)
            {
                if (i < 2)
                {
                    await Kv.PutAsync("k", $"{i} {n}");
                }
                else
                {
                    (await Kv.TouchAsync("k", n % 2 == 0 ? null : TimeSpan.FromSeconds(60 + n))).Should().BeTrue();
                }
            }
        })));

        var value = await Kv.GetTextAsync("k");
        value.Should().BeOneOf("0 39", "1 39");
        await ReopenAsync();
        (await Kv.GetTextAsync("k")).Should().Be(value);
    }
}
