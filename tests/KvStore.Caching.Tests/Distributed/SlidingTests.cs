using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>What the store learns of the uses of an entry that slides: little, and in time.</summary>
public sealed class SlidingTests
{
    private static readonly DistributedCacheEntryOptions s_twentyMinutes = new() { SlidingExpiration = TimeSpan.FromMinutes(20) };

    public static TheoryData<bool> Persisted => [false, true];

    [Theory]
    [MemberData(nameof(Persisted))]
    public async Task Uses_touch_the_entry_once_in_a_sixteenth_of_the_window(bool isPersisted)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        await test.Cache.SetAsync("k", new byte[100], s_twentyMinutes);
        var revisions = new HashSet<long>();
        for (var second = 0; second < 3600; second++)
        {
            await test.AdvanceAsync(1000);
            (await test.Cache.GetAsync("k")).Should().NotBeNull();
            revisions.Add(RevisionOf(test, "k"));
        }

        // Each touch has a revision of its own, and so has the put. A sixteenth of 20 minutes is 75 seconds.
        revisions.Count.Should().BeInRange(3600 / 80, (3600 / 75) + 1);
    }

    [Fact]
    public async Task Uses_do_not_write_the_value_again()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("k", new byte[100_000], s_twentyMinutes);
        await test.SettleAsync();
        var before = BytesOf(test);
        for (var i = 0; i < 20; i++)
        {
            await test.AdvanceAsync(TimeSpan.FromMinutes(19));
            (await test.Cache.GetAsync("k")).Should().HaveCount(100_000);
            await test.Cache.RefreshAsync("k");
        }

        await test.SettleAsync();
        (BytesOf(test) - before).Should().BeInRange(20 * 30, 20 * 1000, "it is 20 touches, and a value has 100,000 bytes");
    }

    [Fact]
    public async Task Entries_that_do_not_slide_are_never_touched()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("absolute", [1], new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromMinutes(20) });
        await test.Cache.SetAsync("forever", [1], new());
        var revisions = (RevisionOf(test, "absolute"), RevisionOf(test, "forever"));
        await test.AdvanceAsync(TimeSpan.FromMinutes(19.9));

        await test.Cache.GetAsync("absolute");
        await test.Cache.RefreshAsync("absolute");
        await test.Cache.RefreshAsync("forever");

        (RevisionOf(test, "absolute"), RevisionOf(test, "forever")).Should().Be(revisions);
        test.Entries.KnownUses.Should().Be(0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(777)]
    [InlineData(59_000)]
    [InlineData(1_200_000)]
    public async Task Restart_is_exact_although_the_last_use_was_not_written(int window)
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        string[] keys = ["lives", "ends"];
        foreach (var key in keys)
        {
            await test.Cache.SetAsync(key, [1], new() { SlidingExpiration = TimeSpan.FromMilliseconds(window) });
        }

        await test.AdvanceAsync(window / 3);
        foreach (var key in keys)
        {
            (await test.Cache.GetAsync(key)).Should().NotBeNull();
        }

        await test.RestartAsync();
        await test.AdvanceAsync(window - 1);
        test.Cache.Get("lives").Should().NotBeNull();
        await test.AdvanceAsync(1);
        test.Cache.Get("ends").Should().BeNull();
        await test.RestartAsync();
        test.Cache.Get("ends").Should().BeNull();
        await test.AdvanceAsync(Math.Max(0, window - 2));
        (test.Cache.Get("lives") is not null).Should().Be(window > 1, "it was used one millisecond before");
    }

    [Fact]
    public async Task Uses_of_many_entries_are_saved_and_take_their_place_again()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        var keys = Enumerable.Range(0, 9_000).Select(i => $"k{i}").ToArray();
        await test.Namespace.PutManyAsync([.. keys.Select(key => new KvEntry(
            $"cache/{key}", "v", new() { Metadata = KvMetadata.FromJson($$"""{"set":{{test.Now.ToUnixTimeMilliseconds()}},"sliding":600000}""") }))]);
        await test.AdvanceAsync(TimeSpan.FromMinutes(9));
        keys.Should().OnlyContain(key => test.Cache.Get(key) != null);
        await test.RestartAsync();
        (await SavedAsync(test)).Should().HaveCount(2);
        await test.AdvanceAsync(TimeSpan.FromMinutes(9));
        keys.Should().OnlyContain(key => test.Cache.Get(key) != null);

        // Of fewer, fewer pieces: what is left of the others goes.
        await test.Namespace.DeleteManyAsync([.. keys.Skip(10).Select(key => $"cache/{key}")]);
        for (var i = 0; i < 2; i++)
        {
            await test.AdvanceAsync(TimeSpan.FromMinutes(9));
            keys.Take(10).Should().OnlyContain(key => test.Cache.Get(key) != null);
            await test.RestartAsync();
        }

        (await SavedAsync(test)).Should().HaveCount(1);
        await test.AdvanceAsync(TimeSpan.FromMinutes(9));
        test.Cache.Get("k0").Should().NotBeNull();
        await test.AdvanceAsync(TimeSpan.FromMinutes(10));
        await test.RestartAsync();
        (await SavedAsync(test)).Should().BeEmpty("every entry is gone");
    }

    [Fact]
    public async Task Entry_that_nobody_used_between_two_restarts_keeps_its_last_use()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("k", [1], s_twentyMinutes);
        await test.AdvanceAsync(TimeSpan.FromSeconds(30));
        (await test.Cache.GetAsync("k")).Should().NotBeNull();
        for (var i = 0; i < 3; i++)
        {
            await test.RestartAsync();
        }

        await test.AdvanceAsync(TimeSpan.FromMinutes(20) - TimeSpan.FromMilliseconds(1));
        test.Cache.Get("k").Should().NotBeNull();
    }

    [Fact]
    public async Task Use_counts_although_the_disk_is_slower_than_the_deadline_of_the_store()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("k", [1], s_twentyMinutes);
        using var isWorking = new ManualResetEventSlim();
        test.Disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush")
            {
                isWorking.Wait();
            }
        };
        test.Clock.Advance(TimeSpan.FromMinutes(10));
        test.Cache.Get("k").Should().Equal([1], "a synchronous read does not wait for its touch");

        // The store would keep the entry for 21 minutes and a quarter.
        test.Clock.Advance(TimeSpan.FromMinutes(19));
        var read = Task.Run(() => test.Cache.Get("k"));
        isWorking.Set();

        (await read).Should().Equal(1);
    }

    [Theory]
    [MemberData(nameof(Persisted))]
    public async Task Entry_lives_no_longer_than_its_window_after_a_crash(bool isPersisted)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        await test.Cache.SetAsync("early", [1], s_twentyMinutes);
        await test.Cache.SetAsync("late", [1], s_twentyMinutes);
        await test.AdvanceAsync(TimeSpan.FromSeconds(30));
        (await test.Cache.GetAsync("early")).Should().NotBeNull();
        await test.AdvanceAsync(TimeSpan.FromMinutes(10));
        (await test.Cache.GetAsync("late")).Should().NotBeNull();

        await test.CrashAsync();

        // The use of the first was not written; that of the second was a touch, kept in whole seconds.
        await test.AdvanceAsync(TimeSpan.FromMinutes(9.5));
        test.Cache.Get("early").Should().BeNull();
        await test.AdvanceAsync(TimeSpan.FromMinutes(10.5) - TimeSpan.FromSeconds(1));
        test.Cache.Get("late").Should().NotBeNull();
        await test.CrashAsync();
        await test.AdvanceAsync(TimeSpan.FromMinutes(20));
        test.Cache.Get("late").Should().BeNull();
    }

    [Fact]
    public async Task Use_of_an_older_version_does_not_prolong_a_newer_one()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        await test.Cache.SetAsync("k", [1], new() { SlidingExpiration = TimeSpan.FromHours(10) });
        await test.AdvanceAsync(TimeSpan.FromHours(5));
        await test.Cache.GetAsync("k");
        await test.Cache.SetAsync("k", [2], new() { SlidingExpiration = TimeSpan.FromSeconds(1) });
        await test.AdvanceAsync(999);
        test.Cache.Get("k").Should().Equal(2);
        await test.AdvanceAsync(1000);
        test.Cache.Get("k").Should().BeNull();
    }

    [Fact]
    public async Task Uses_of_entries_that_are_gone_are_forgotten()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        for (var i = 0; i < 100; i++)
        {
            await test.Cache.SetAsync($"k{i}", [1], new() { SlidingExpiration = TimeSpan.FromMinutes(i < 50 ? 1 : 100) });
            await test.Cache.GetAsync($"k{i}");
        }

        test.Entries.KnownUses.Should().Be(100);
        await test.Cache.RemoveAsync("k99");
        test.Entries.KnownUses.Should().Be(99);
        await test.AdvanceAsync(TimeSpan.FromMinutes(2));
        test.Entries.Sweep();
        test.Entries.KnownUses.Should().Be(49);

        // Also without being asked: a use sweeps once a minute, on another thread.
        await test.AdvanceAsync(TimeSpan.FromMinutes(99));
        await test.Cache.SetAsync("new", [1], s_twentyMinutes);
        for (var i = 0; test.Entries.KnownUses > 1; i++)
        {
            await test.Cache.GetAsync("new");
            await Task.Delay(1);
        }
    }

    [Fact]
    public async Task Clock_that_goes_back_ends_nothing()
    {
        var clock = new SteppingClock { Now = CacheUnderTest.Start };
        await using var kv = KvNamespace.Create("CACHE_KV", new() { TimeProvider = clock });
        await using var cache = new KvDistributedCache(kv, new() { Name = "c", Namespace = "CACHE_KV", Prefix = "", RegisteredBy = "a test" });
        cache.Set("k", [1], new() { SlidingExpiration = TimeSpan.FromSeconds(10) });
        clock.Now = CacheUnderTest.Start.AddSeconds(9);
        cache.Get("k").Should().NotBeNull();
        clock.Now = CacheUnderTest.Start.AddSeconds(-60);
        cache.Get("k").Should().NotBeNull();
        clock.Now = CacheUnderTest.Start.AddSeconds(18);
        cache.Get("k").Should().NotBeNull();
        clock.Now = CacheUnderTest.Start.AddSeconds(28);
        cache.Get("k").Should().BeNull();
    }

    private static long RevisionOf(KvCache test, string key) => test.Namespace.TryGet($"cache/{key}", out var value) ? value.Revision : 0;

    private static async Task<List<string>> SavedAsync(KvCache test)
    {
        var saved = new List<string>();
        await foreach (var key in test.Namespace.ListAllAsync(prefix: "cache/~uses/"))
        {
            saved.Add(key.Name);
        }

        return saved;
    }

    private static long BytesOf(KvCache test) => test.Disk.Files.Sum(file => (long)file.Value.AsSpan().TrimEnd((byte)0).Length);

    private sealed class SteppingClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
