using KvStore.Hybrid;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>What a hit costs, and when it is a hit.</summary>
public sealed class HybridHitTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Hit_of_an_immutable_type_allocates_nothing(bool isSystemClock)
    {
        await using var host = new HybridHost(time: isSystemClock ? TimeProvider.System : new StoppedClock());
        var cache = host.Cache;
        using var cancellation = new CancellationTokenSource();
        var options = new HybridCacheEntryOptions { Expiration = TimeSpan.FromHours(1) };
        await cache.SetAsync("price", new Price("book", 10));
        await cache.SetAsync("text", "text");
        await cache.SetAsync("point", new Point(1, 2));

        // The second round measures. The first one compiles, and fills what is filled once.
        var allocated = 0L;
        for (var round = 0; round < 2; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
            {
                Check(cache.GetOrCreateAsync<int, Price>("price", 1, static (_, _) => throw new InvalidOperationException()));
                Check(cache.GetOrCreateAsync<int, string>("text", 1, static (_, _) => throw new InvalidOperationException(), options, cancellationToken: cancellation.Token));
                Check(cache.GetOrCreateAsync<int, Point>("point", 1, static (_, _) => throw new InvalidOperationException(), options));

                // Where every check reads the clock, a span becomes a text.
                if (isSystemClock)
                {
                    Check(cache.GetOrCreateAsync<int, Point>("a point".AsSpan(2), 1, static (_, _) => throw new InvalidOperationException()));
                }
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        allocated.Should().Be(0);

        static void Check<T>(ValueTask<T> hit)
        {
            if (!hit.IsCompletedSuccessfully)
            {
                throw new InvalidOperationException("not a hit");
            }

            _ = hit.Result;
        }
    }

    [Fact]
    public async Task Write_of_another_key_costs_one_more_lookup_and_no_object()
    {
        await using var host = new HybridHost();
        var price = new Price("book", 10);
        await host.Cache.SetAsync("a", price);
        for (var i = 0; i < 100; i++)
        {
            await host.Cache.SetAsync($"other {i}", i);
            (await host.Cache.GetOrCreateAsync<Price>("a", _ => throw new InvalidOperationException())).Should().BeSameAs(price);
        }
    }

    [Fact]
    public async Task Object_is_handed_out_as_the_type_that_is_asked_for()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", 7);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().Be(7);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<long>(1))).Should().Be(7);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>(""))).Should().Be("7");
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int?>(1))).Should().Be(7);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().Be(7);
    }

    [Fact]
    public void Known_entries_are_found_replaced_and_removed_among_many()
    {
        var entries = new CachedEntries();
        var header = new EntryHeader(1, 1, []);
        for (var revision = 1; revision <= 3; revision++)
        {
            for (var i = 0; i < 5000; i++)
            {
                entries.TryAdd(new CachedEntry<int>(KeyOf(i), revision, header, i)).Should().BeTrue();
            }

            entries.Count.Should().Be(5000);
        }

        for (var i = 0; i < 5000; i++)
        {
            entries.TryAdd(new CachedEntry<int>(KeyOf(i), 2, header, 0)).Should().BeFalse("a newer version is there");
            entries.Find(KeyOf(i)).Should().BeOfType<CachedEntry<int>>().Which.Value.Should().Be(i);
            entries.RemoveOlder(KeyOf(i), i % 2 == 0 ? 4 : 3);
        }

        entries.Count.Should().Be(2500);
        for (var i = 0; i < 5000; i++)
        {
            (entries.Find(KeyOf(i)) is null).Should().Be(i % 2 == 0);
        }

        entries.Clear();
        entries.Count.Should().Be(0);
        entries.Find(KeyOf(1)).Should().BeNull();

        static string KeyOf(int i) => string.Create(i % 40, i, static (span, i) => span.Fill('x')) + i;
    }

    [Fact]
    public void Keys_of_every_length_that_differ_in_one_character_are_told_apart()
    {
        var entries = new CachedEntries();
        var keys = new List<string> { "" };
        for (var length = 1; length <= 70; length++)
        {
            var key = new string('k', length);
            keys.Add(key);
            keys.AddRange(Enumerable.Range(0, length).Select(at => string.Concat(key.AsSpan(0, at), "\u016B", key.AsSpan(at + 1))));
        }

        foreach (var key in keys)
        {
            entries.Find(key).Should().BeNull(key);
            entries.TryAdd(new CachedEntry(key, 1, new EntryHeader(1, 1, []))).Should().BeTrue();
        }

        foreach (var key in keys)
        {
            entries.Find($"-{key}-".AsSpan(1, key.Length))!.Key.Should().Be(key);
        }

        entries.Count.Should().Be(keys.Count);
    }

    /// <summary>Keys that come from clients must not collide by design, so the hash of a process has secrets of its own.</summary>
    [Fact]
    public void Hashes_of_like_keys_are_spread_evenly()
    {
        const int Buckets = 4096;
        foreach (var width in new[] { 3, 6, 10, 20, 40, 80 })
        {
            var used = Enumerable.Range(0, 999).Select(i => KeyHash.Of(i.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(width, '0')) & (Buckets - 1)).Distinct().Count();
            used.Should().BeGreaterThan(800, $"of {width} characters; a perfect hash uses 886 on average");
        }
    }

    [Fact]
    public void Entry_that_is_not_confirmed_has_no_time_in_which_it_is_current()
    {
        var entry = new CachedEntry("a", 1, new EntryHeader(10, 20, []));
        entry.Until.Should().Be(0);
        entry.Confirm(1);
        entry.Until.Should().Be(20);
    }

    [Fact]
    public void Closed_table_takes_nothing()
    {
        var entries = new CachedEntries();
        var entry = new CachedEntry("a", 1, new EntryHeader(1, 1, []));
        entries.TryAdd(entry).Should().BeTrue();
        entries.Close();
        entries.Count.Should().Be(0);
        entries.TryAdd(entry).Should().BeFalse();
    }

    /// <summary>A clock that is not the system's, and that allocates nothing.</summary>
    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => new(2026, 11, 27, 8, 0, 0, TimeSpan.Zero);
    }
}
