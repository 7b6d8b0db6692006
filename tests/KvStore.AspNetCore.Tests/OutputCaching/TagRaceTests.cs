using KvStore.AspNetCore.Tests.Adapters;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>Evictions of tags beside writes, reads and expiry.</summary>
public sealed class TagRaceTests : PagesTest
{
    private PausedNamespace? _paused;

    [Theory]
    [InlineData("before the put")]
    [InlineData("after the put")]
    public async Task Page_whose_write_is_under_way_is_evicted_too(string moment)
    {
        await using var services = PausedServices();
        var store = StoreIn(services);
        await store.SetAsync("first", "v", Minute, "tag");
        var held = new TaskCompletionSource();
        var reached = new TaskCompletionSource();
        Func<string, Task> hold = _ =>
        {
            reached.TrySetResult();
            return held.Task;
        };
        _paused!.BeforePut = moment == "before the put" ? hold : _paused.BeforePut;
        _paused.AfterPut = moment == "after the put" ? hold : _paused.AfterPut;
        var set = store.SetAsync("k", "v", Minute, "tag", "other").AsTask();
        await reached.Task;

        await store.EvictAsync("tag");

        (await store.GetAsync("first")).Should().BeNull();
        (await store.GetAsync("k")).Should().BeNull("it was rendered before the eviction");
        held.SetResult();
        await set;
        (await store.GetAsync("k")).Should().BeNull();
        NamespaceIn(services).Count.Should().Be(0);
        IndexIn(services).EvictedThrough.Should().BeNull("nothing is left of the eviction");
        await IndexBecomesAsync(services, pages: 0, tags: 0);
    }

    [Fact]
    public async Task Eviction_takes_effect_at_once_for_all_pages_and_not_for_later_ones()
    {
        await using var services = PausedServices();
        var store = StoreIn(services);
        for (var i = 0; i < 10; i++)
        {
            await store.SetAsync($"old {i}", "v", Minute, "tag");
        }

        await store.SetAsync("replaced", "old", Minute, "tag");
        var held = new TaskCompletionSource();
        var reached = new TaskCompletionSource();
        _paused!.BeforeDelete = _ =>
        {
            reached.TrySetResult();
            return held.Task;
        };
        var evict = store.EvictAsync("tag").AsTask();
        await reached.Task;

        for (var i = 0; i < 10; i++)
        {
            (await store.GetAsync($"old {i}")).Should().BeNull("no page is deleted yet, and none is served");
        }

        await store.SetAsync("new", "v", Minute, "tag");
        await store.SetAsync("replaced", "new", Minute, "tag");
        (await store.GetAsync("new")).Should().Be("v");
        evict.IsCompleted.Should().BeFalse();
        held.SetResult();
        await evict;

        (await store.GetAsync("new")).Should().Be("v", "it was stored after the eviction");
        (await store.GetAsync("replaced")).Should().Be("new");
        NamespaceIn(services).Count.Should().Be(2);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task Overlapping_writes_of_one_page_leave_the_tags_of_the_last_one(bool firstIsLast, bool evictsAtOnce)
    {
        await using var services = PausedServices();
        var store = StoreIn(services);
        await store.SetAsync("k", "0", TimeSpan.FromHours(1), "zero");
        var held = new TaskCompletionSource();
        Func<string, Task> hold = _ => held.Task;
        _paused!.BeforePut = firstIsLast ? hold : _paused.BeforePut;
        _paused.AfterPut = firstIsLast ? _paused.AfterPut : hold;
        var first = store.SetAsync("k", "1", TimeSpan.FromHours(1), "one").AsTask();
        _paused.BeforePut = _paused.AfterPut = static _ => Task.CompletedTask;
        await store.SetAsync("k", "2", TimeSpan.FromHours(1), "two");
        held.SetResult();
        await first;
        var (last, other) = firstIsLast ? ("one", "two") : ("two", "one");

        if (!evictsAtOnce)
        {
            await store.EvictAsync(other);
            await store.EvictAsync("zero");
            (await store.GetAsync("k")).Should().Be(firstIsLast ? "1" : "2", "its put was made last");
            await IndexBecomesAsync(services, pages: 1, tags: 1);
        }

        await store.EvictAsync(last);
        (await store.GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Write_that_fails_leaves_the_tags_of_the_page_before()
    {
        await using var services = PausedServices();
        var store = StoreIn(services);
        await store.SetAsync("k", "before", Minute, "before");
        _paused!.BeforePut = static _ => throw new KvException(413, "PUT", "made up");

        await store.SetAsync("k", "failed", Minute, "failed");

        await IndexBecomesAsync(services, pages: 1, tags: 1);
        await store.EvictAsync("failed");
        (await store.GetAsync("k")).Should().Be("before");
        await store.EvictAsync("before");
        (await store.GetAsync("k")).Should().BeNull();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Evictions_beside_writes_expiry_and_memory_pressure_lose_no_invariant(bool evicting)
    {
        const int Keys = 24;
        var end = TimeSpan.FromSeconds(evicting ? 1 : 2);
        await using var services = ServicesOn(
            Storage.InMemory(),
            options => evicting ? options with { Memory = new() { BytesMax = 1 << 20, WhenFull = KvMemoryPolicy.Evict } } : options);
        var store = StoreIn(services);
        await store.SetAsync("untagged", "v", TimeSpan.FromDays(365));
        var written = new long[Keys];
        var evicted = new long[Keys];
        var violations = new List<string>();
        using var stop = new CancellationTokenSource(end);
        var filler = new string('x', evicting ? 20_000 : 10);

        var writers = Enumerable.Range(0, 3).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            for (var version = 1L; !stop.IsCancellationRequested; version++)
            {
                // Each key has one writer, so that its versions grow.
                var key = (random.Next(Keys / 3) * 3) + writer;
                string[] tags = random.Next(3) == 0 ? [Tag(key), "all", $"extra {version % 5}"] : [Tag(key), "all"];
                await store.SetAsync($"k{key}", $"{version}|{filler}", TimeSpan.FromMilliseconds(random.Next(1, 5000)), tags);
                Volatile.Write(ref written[key], version);
            }
        }));
        var evictors = Enumerable.Range(0, 2).Select(evictor => Task.Run(async () =>
        {
            var random = new Random(100 + evictor);
            while (!stop.IsCancellationRequested)
            {
                var tag = random.Next(4) == 0 ? "all" : Tag(random.Next(Keys));
                var before = written.Select((_, key) => Volatile.Read(ref written[key])).ToArray();
                await store.EvictAsync(tag);
                for (var key = 0; key < Keys; key++)
                {
                    if (tag == "all" || tag == Tag(key))
                    {
                        Raise(ref evicted[key], before[key]);
                    }
                }
            }
        }));
        var readers = Enumerable.Range(0, 2).Select(reader => Task.Run(async () =>
        {
            var random = new Random(200 + reader);
            while (!stop.IsCancellationRequested)
            {
                var key = random.Next(Keys);
                var floor = Volatile.Read(ref evicted[key]);
                var page = await store.GetAsync($"k{key}");
                if (page is not null && long.Parse(page.Split('|')[0]) <= floor)
                {
                    lock (violations)
                    {
                        violations.Add($"k{key} had version {page.Split('|')[0]}, and versions up to {floor} were evicted");
                    }
                }

                if (!evicting && await store.GetAsync("untagged") is null)
                {
                    lock (violations)
                    {
                        violations.Add("the page without tags is gone");
                    }
                }
            }
        }));
        var clock = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                Time.Advance(TimeSpan.FromMilliseconds(250));
                await Task.Yield();
            }
        });
        await Task.WhenAll([.. writers, .. evictors, .. readers, clock]);

        violations.Should().BeEmpty();
        await store.EvictAsync("all");
        for (var key = 0; key < Keys; key++)
        {
            (await store.GetAsync($"k{key}")).Should().BeNull();
        }

        IndexIn(services).EvictedThrough.Should().BeNull();
        await IndexBecomesAsync(services, pages: 0, tags: 0);

        static string Tag(int key) => $"tag {key % 7}";

        static void Raise(ref long value, long to)
        {
            for (var seen = Volatile.Read(ref value); seen < to;)
            {
                seen = Interlocked.CompareExchange(ref value, to, seen) is var now && now == seen ? to : now;
            }
        }
    }

    private ServiceProvider PausedServices() => ServicesOn(Storage.InMemory(), more: services =>
        services.AddKeyedSingleton<IKvExtendedNamespace>(
            "CACHE_KV", (provider, name) => _paused = new PausedNamespace(provider.GetRequiredKeyedService<KvNamespace>(name))));
}
