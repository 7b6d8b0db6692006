using System.Globalization;

namespace KvStore.Tests.Watching;

public sealed class WatchTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero));
    private KvNamespace _kv = null!;

    public Task InitializeAsync()
    {
        _kv = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = _time });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Puts_and_deletes_are_shown_with_values_and_growing_revisions()
    {
        await using var watch = Watch.Begin(_kv);
        await _kv.PutAsync("a", "1");
        var put = await watch.NextAsync();
        put.Should().BeEquivalentTo(new { Kind = KvChangeKind.Put, Key = "a" });
        put.Value.GetText().Should().Be("1");
        put.Revision.Should().Be(put.Value.Revision).And.Be((await _kv.GetAsync("a")).Revision).And.BePositive();

        await _kv.DeleteAsync("a");
        var delete = await watch.NextAsync();
        delete.Should().BeEquivalentTo(new { Kind = KvChangeKind.Delete, Key = "a" });
        delete.Value.Exists.Should().BeFalse();
        delete.Revision.Should().BeGreaterThan(put.Revision);
        watch.ShouldWait();
    }

    [Fact]
    public async Task Nothing_is_shown_of_what_was_there_before_a_watch_from_now_on()
    {
        await _kv.PutAsync("a", "1");
        await using var watch = Watch.Begin(_kv);
        watch.ShouldWait();
        await _kv.PutAsync("b", "2");
        (await watch.NextAsync(1)).Should().Equal("put b=2");
    }

    [Fact]
    public async Task Deleting_a_key_that_does_not_exist_is_no_change()
    {
        await using var watch = Watch.Begin(_kv);
        await _kv.DeleteAsync("a");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Only_keys_with_the_prefix_are_shown()
    {
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Prefix = "user:" });
        await using var nested = Watch.Begin(_kv, new KvWatchOptions { Prefix = "user:1" });
        foreach (var key in new[] { "user", "user:", "user:1", "user:2", "users", "a", "v" })
        {
            await _kv.PutAsync(key, "x");
        }

        (await watch.NextAsync(3)).Should().Equal("put user:=x", "put user:1=x", "put user:2=x");
        watch.ShouldWait();
        (await nested.NextAsync(1)).Should().Equal("put user:1=x");
        nested.ShouldWait();
    }

    [Fact]
    public async Task Only_the_key_is_shown_where_one_is_watched()
    {
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Key = "a" });
        await using var again = Watch.Begin(_kv, new KvWatchOptions { Key = "a" });
        await _kv.PutAsync("ab", "x");
        await _kv.PutAsync("a", "y");
        (await watch.NextAsync(1)).Should().Equal("put a=y");
        (await again.NextAsync(1)).Should().Equal("put a=y");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Late_reader_is_shown_the_newest_version_of_each_key_by_revision()
    {
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Start = KvWatchStart.Current });
        (await watch.NextAsync(1)).Should().Equal("current");
        for (var i = 0; i < 1000; i++)
        {
            await _kv.PutAsync(Key(i % 100), Text(i));
        }

        await _kv.DeleteAsync(Key(7));
        var last = 0L;
        for (var i = 0; i < 100; i++)
        {
            var change = await watch.NextAsync();
            change.Revision.Should().BeGreaterThan(last);
            last = change.Revision;
            if (i < 99)
            {
                var at = i < 7 ? i : i + 1;
                Watch.Describe(change).Should().Be($"put {Key(at)}={Text(900 + at)}");
                change.Value.Revision.Should().Be(change.Revision);
            }
            else
            {
                Watch.Describe(change).Should().Be($"delete {Key(7)}");
            }
        }

        watch.ShouldWait();
    }

    [Fact]
    public async Task Start_with_current_shows_what_is_there_in_key_order_then_a_mark_then_changes()
    {
        foreach (var i in Enumerable.Range(0, 500).Reverse())
        {
            await _kv.PutAsync(Key(i), Text(i));
        }

        await _kv.PutAsync("other", "x");
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Prefix = "key:", Start = KvWatchStart.Current });
        for (var i = 0; i < 500; i++)
        {
            var change = await watch.NextAsync();
            Watch.Describe(change).Should().Be($"put {Key(i)}={Text(i)}");
            change.Revision.Should().Be(0, "a watch cannot go on from the middle of a scan");
            change.Value.Revision.Should().BePositive();
            if (i == 250)
            {
                // Before and behind the place of the scan; one that it has not shown is shown once.
                await _kv.PutAsync(Key(3), "new");
                await _kv.DeleteAsync(Key(4));
                await _kv.PutAsync(Key(400), Text(400));
            }
        }

        var mark = await watch.NextAsync();
        mark.Kind.Should().Be(KvChangeKind.Current);
        mark.Key.Should().BeEmpty();
        (await watch.NextAsync(2)).Should().Equal($"put {Key(3)}=new", $"delete {Key(4)}");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Start_with_current_of_one_key_shows_it_and_then_the_mark()
    {
        await _kv.PutAsync("a", "1");
        await _kv.PutAsync("ab", "1");
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Key = "a", Start = KvWatchStart.Current });
        await using var absent = Watch.Begin(_kv, new KvWatchOptions { Key = "b", Start = KvWatchStart.Current });
        (await watch.NextAsync(2)).Should().Equal("put a=1", "current");
        (await absent.NextAsync(1)).Should().Equal("current");
        await _kv.PutAsync("b", "2");
        (await absent.NextAsync(1)).Should().Equal("put b=2");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Entry_that_expires_is_shown_as_expired_soon_after_its_deadline()
    {
        await using var watch = Watch.Begin(_kv);
        await _kv.PutAsync("a", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await _kv.PutAsync("b", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(90) });
        (await watch.NextAsync(2)).Should().Equal("put a=1", "put b=1");
        _time.Advance(TimeSpan.FromSeconds(59));
        watch.ShouldWait();
        _time.Advance(TimeSpan.FromSeconds(3));
        var expire = await watch.NextAsync();
        Watch.Describe(expire).Should().Be("expire a");
        expire.Revision.Should().BePositive();
        watch.ShouldWait();
        _time.Advance(TimeSpan.FromHours(1));
        (await watch.NextAsync(1)).Should().Equal("expire b");
    }

    [Fact]
    public async Task Delete_of_an_expired_entry_is_shown_as_expired_and_a_put_over_it_as_a_put()
    {
        // No timer fires: nothing is swept.
        var time = new ClockWithoutTimers();
        await using var kv = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = time });
        await kv.PutAsync("a", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await kv.PutAsync("b", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await using var watch = Watch.Begin(kv);
        time.Now += TimeSpan.FromSeconds(61);
        await kv.DeleteAsync("a");
        await kv.PutAsync("b", "2");
        (await watch.NextAsync(2)).Should().Equal("expire a", "put b=2");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Watch_goes_on_after_a_revision_and_misses_nothing()
    {
        await _kv.PutAsync("old", "1");
        await _kv.PutAsync("gone", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        long seen;
        await using (var watch = Watch.Begin(_kv))
        {
            await _kv.PutAsync("a", "1");
            seen = (await watch.NextAsync()).Revision;
        }

        await _kv.PutAsync("b", "1");
        await _kv.PutAsync("a", "2");
        await _kv.DeleteAsync("old");
        await _kv.PutAsync("short", "1");
        await _kv.DeleteAsync("short");
        _time.Advance(TimeSpan.FromSeconds(62));
        await using var next = Watch.Begin(_kv, new KvWatchOptions { AfterRevision = seen });
        (await next.NextAsync(5)).Should().Equal("put b=1", "put a=2", "delete old", "delete short", "expire gone");
        next.ShouldWait();
        await _kv.PutAsync("c", "1");
        (await next.NextAsync(1)).Should().Equal("put c=1");
    }

    [Fact]
    public async Task Watch_of_a_prefix_goes_on_after_each_revision_that_was_shown()
    {
        await using var all = Watch.Begin(_kv, new KvWatchOptions { Prefix = "key:" });
        var changes = new List<KvChange>();
        for (var i = 0; i < 200; i++)
        {
            await _kv.PutAsync(Key(i % 60), Text(i));
            await _kv.PutAsync("other", Text(i));
            changes.Add(await all.NextAsync());
            if (i % 7 == 3)
            {
                await _kv.DeleteAsync(Key(i % 60));
                changes.Add(await all.NextAsync());
            }
        }

        for (var at = 0; at < changes.Count; at += 17)
        {
            await using var watch = Watch.Begin(_kv, new KvWatchOptions { Prefix = "key:", AfterRevision = changes[at].Revision });
            var left = changes.Skip(at + 1).GroupBy(change => change.Key).ToDictionary(group => group.Key, group => Watch.Describe(group.Last()));
            while (left.Count > 0)
            {
                var change = await watch.NextAsync();
                if (left[change.Key] == Watch.Describe(change))
                {
                    left.Remove(change.Key);
                }
            }

            watch.ShouldWait();
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(long.MaxValue)]
    public async Task Revision_that_this_namespace_has_not_given_resets(long revision)
    {
        await _kv.PutAsync("b", "1");
        await _kv.PutAsync("a", "1");
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { AfterRevision = revision });
        (await watch.NextAsync(4)).Should().Equal("reset", "put a=1", "put b=1", "current");
        watch.ShouldWait();
    }

    [Fact]
    public async Task Revision_of_another_namespace_with_the_same_clock_resets()
    {
        await using var other = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = _time });
        for (var i = 0; i < 100; i++)
        {
            await other.PutAsync("a", "1");
            await _kv.PutAsync("a", "1");
        }

        await using var watch = Watch.Begin(_kv, new KvWatchOptions { AfterRevision = (await other.GetAsync("a")).Revision });
        (await watch.NextAsync(3)).Should().Equal("reset", "put a=1", "current");
    }

    [Fact]
    public async Task Deletes_that_were_forgotten_reset()
    {
        await _kv.PutAsync("a", "1");
        var seen = (await _kv.GetAsync("a")).Revision;
        for (var i = 0; i < 200_000; i++)
        {
            var key = Key(i);
            await _kv.PutAsync(key, "");
            await _kv.DeleteAsync(key);
        }

        await using var watch = Watch.Begin(_kv, new KvWatchOptions { AfterRevision = seen });
        (await watch.NextAsync(3)).Should().Equal("reset", "put a=1", "current");
    }

    [Fact]
    public async Task Watcher_who_does_not_read_while_too_many_keys_are_deleted_begins_anew()
    {
        await _kv.PutAsync("a", "1");
        await using var watch = Watch.Begin(_kv);
        await _kv.PutAsync("first", "");
        var padding = new string('x', 480);
        for (var i = 0; i < 40_000; i++)
        {
            var key = padding + Key(i);
            await _kv.PutAsync(key, "");
            await _kv.DeleteAsync(key);
        }

        var texts = new List<string> { Watch.Describe(await watch.NextAsync()) };
        while (texts[^1] != "current")
        {
            texts.Add(Watch.Describe(await watch.NextAsync()));
        }

        texts[^4..].Should().Equal("reset", "put a=1", "put first=", "current");
    }

    [Fact]
    public async Task Watch_ends_quietly_when_the_namespace_is_disposed()
    {
        var waiting = Watch.Begin(_kv);
        var later = _kv.WatchAsync();
        await _kv.DisposeAsync();
        (await waiting.MovesNextAsync()).Should().BeFalse();
        await waiting.DisposeAsync();
        var watch = () => _kv.WatchAsync();
        watch.Should().Throw<ObjectDisposedException>();
        var begin = async () => await later.GetAsyncEnumerator().MoveNextAsync();
        await begin.Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Watch_whose_token_is_cancelled_throws()
    {
        using var cancellation = new CancellationTokenSource();
        var watch = Watch.Begin(_kv, cancellationToken: cancellation.Token);
        watch.ShouldWait();
        await cancellation.CancelAsync();
        var next = () => watch.NextAsync();
        await next.Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public void Options_that_exclude_each_other_or_are_out_of_range_are_refused()
    {
        Refused<ArgumentException>(new KvWatchOptions { Prefix = "a", Key = "b" }, "*Prefix and Key*");
        Refused<ArgumentException>(new KvWatchOptions { AfterRevision = 1, Start = KvWatchStart.Current }, "*AfterRevision and Start*");
        Refused<ArgumentOutOfRangeException>(new KvWatchOptions { AfterRevision = -1 }, "*AfterRevision is -1; it must be at least 0*");
        Refused<ArgumentOutOfRangeException>(new KvWatchOptions { Start = (KvWatchStart)7 }, "*Start is 7*");
        Refused<ArgumentException>(new KvWatchOptions { Key = "" }, "*");
        Refused<KvException>(new KvWatchOptions { Key = new string('k', 513) }, "KV WATCH failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.");
        Refused<KvException>(
            new KvWatchOptions { Prefix = new string('é', 257) },
            "KV WATCH failed: 414 The prefix \"ééé*é…\" (193 more characters) has 514 bytes of UTF-8, and a key at most 512, so no key begins with it.");
        Refused<KvException>(new KvWatchOptions { Prefix = "a\uD800" }, "KV WATCH failed: 400 The prefix \"a\\uD800\" is not Unicode*");
        Refused<KvException>(new KvWatchOptions { Key = "\uDC00" }, "KV WATCH failed: 400*");

        void Refused<T>(KvWatchOptions options, string message)
            where T : Exception
        {
            var watch = () => _kv.WatchAsync(options);
            watch.Should().Throw<T>().WithMessage(message);
        }
    }

    [Fact]
    public async Task Prefix_as_long_as_a_key_can_be_is_watched()
    {
        var longest = new string('k', 512);
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Prefix = longest });
        await _kv.PutAsync(longest, "x");
        (await watch.NextAsync(1)).Should().Equal($"put {longest}=x");
    }

    private sealed class ClockWithoutTimers : TimeProvider
    {
        private readonly FakeTimeProvider _timers = new();

        public DateTimeOffset Now { get; set; } = new(2026, 11, 26, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            _timers.CreateTimer(callback, state, dueTime, period);
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"key:{i:D6}");

    private static string Text(int i) => i.ToString(CultureInfo.InvariantCulture);
}
