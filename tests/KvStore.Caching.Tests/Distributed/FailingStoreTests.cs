using System.Buffers;
using KvStore.TestKit.Persistence;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>A store that fails makes the cache miss and log. It never throws into the application, and never shows what is no longer so.</summary>
public sealed class FailingStoreTests
{
    private static readonly DistributedCacheEntryOptions s_sliding = new() { SlidingExpiration = TimeSpan.FromMinutes(20) };

    [Fact]
    public async Task Failing_disk_ignores_writes_and_reads_miss_what_they_should_have_changed()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        foreach (var key in new[] { "kept", "replaced", "removed", "sync", "buffer" })
        {
            await test.Cache.SetAsync(key, [1], new());
        }

        _ = new FaultyDisk(test.Disk, "flush", 1, "Input/output error", isForGood: true);
        await test.Cache.SetAsync("replaced", [2], new());
        await test.Cache.RemoveAsync("removed");
        test.Cache.Set("sync", [2], new());
        await test.Buffers.SetAsync("buffer", new ReadOnlySequence<byte>([2]), new());
        await test.Cache.SetAsync("new", [2], new());
        test.Cache.Remove("missing");

        test.Cache.Get("kept").Should().Equal([1], "memory is as it was");
        foreach (var key in new[] { "replaced", "removed", "sync", "buffer", "new", "missing" })
        {
            (await test.Cache.GetAsync(key)).Should().BeNull(key);
            test.Buffers.TryGet(key, new ArrayBufferWriter<byte>()).Should().BeFalse(key);
        }

        FailuresIn(test).Should().ContainSingle("more are logged after ten seconds").Which.Should()
            .Contain("CACHE_KV").And.Contain("Operation: set").And.Contain("Input/output error");
    }

    [Fact]
    public async Task Entries_that_a_failed_write_should_have_changed_stay_gone_afterwards()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("replaced", [1], new());
        await test.Cache.SetAsync("removed", [1], s_sliding);
        await test.Cache.SetAsync("set", [1], new());
        _ = new FaultyDisk(test.Disk, "flush", 1, "Input/output error");
        await test.Cache.SetAsync("replaced", [2], new());
        await test.Cache.RemoveAsync("removed");
        await test.Cache.SetAsync("set", [2], new());

        await test.Namespace.ReopenAsync();
        test.Cache.Get("removed").Should().BeNull();
        await test.Cache.SetAsync("set", [3], new());
        test.Cache.Get("set").Should().Equal(3);

        // A write that succeeds lets the cache remove them from the store.
        while (test.Namespace.TryGet("cache/replaced", out _) || test.Namespace.TryGet("cache/removed", out _))
        {
            await Task.Delay(1);
        }

        await test.RestartAsync();
        test.Cache.Get("replaced").Should().BeNull();
        test.Cache.Get("removed").Should().BeNull();
        test.Cache.Get("set").Should().Equal(3);
    }

    [Fact]
    public async Task Use_that_cannot_be_written_still_counts()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("k", [1], s_sliding);
        _ = new FaultyDisk(test.Disk, "flush", 1, "Input/output error", isForGood: true);
        test.Clock.Advance(TimeSpan.FromMinutes(10));

        (await test.Cache.GetAsync("k")).Should().Equal(1);
        await test.Cache.RefreshAsync("k");

        FailuresIn(test).Should().ContainSingle().Which.Should().Contain("Operation: touch");
        test.Clock.Advance(TimeSpan.FromMinutes(11));
        (await test.Cache.GetAsync("k")).Should().Equal([1], "the store keeps an entry a sixteenth longer than its window");
    }

    [Fact]
    public async Task Failures_are_logged_every_ten_seconds_with_their_number()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        _ = new FaultyDisk(test.Disk, "flush", 1, "Input/output error", isForGood: true);
        for (var i = 0; i < 100; i++)
        {
            await test.Cache.SetAsync("k", [1], new());
        }

        test.Clock.Advance(TimeSpan.FromSeconds(10));
        await test.Cache.SetAsync("k", [1], new());

        var failures = FailuresIn(test).ToList();
        failures.Should().HaveCount(2);
        failures[1].Should().Contain("Failures since the last message of this kind: 99");
        failures.Should().OnlyContain(line => !line.Contains("cache/", StringComparison.Ordinal) || line.Contains("KvPersistenceException", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Value_that_is_too_long_is_refused_and_leaves_the_one_before_it()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false, new() { Limits = new() { ValueBytesMax = 10 } });
        await test.Cache.SetAsync("k", [1], new());

        Action[] writes =
        [
            () => test.Cache.Set("k", new byte[11], new()),
            () => _ = test.Cache.SetAsync("k", new byte[11], new()),
            () => test.Buffers.Set("k", new ReadOnlySequence<byte>(new byte[11]), new()),
            () => _ = test.Buffers.SetAsync("k", Parts(6, 5), new()).AsTask(),
        ];

        foreach (var write in writes)
        {
            write.Should().Throw<ArgumentException>().WithMessage("The value has 11 bytes; a value of the KV namespace \"CACHE_KV\" has at most 10.*ValueBytesMax*").WithParameterName("value");
        }

        test.Cache.Get("k").Should().Equal(1);
        test.Log.Warnings.Should().BeEmpty();
        await test.Cache.SetAsync("k", new byte[10], new());
        test.Buffers.Set("k", Parts(5, 5), new());
        await test.Cache.SetAsync("k", [2], new());
        test.Cache.Get("k").Should().Equal(2);
    }

    [Fact]
    public async Task Namespace_without_room_makes_the_cache_miss()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false, new() { Limits = new() { NamespaceKeysMax = 2 } });
        for (var i = 0; i < 4; i++)
        {
            await test.Cache.SetAsync($"k{i}", [1], new());
        }

        Enumerable.Range(0, 4).Count(i => test.Cache.Get($"k{i}") is not null).Should().Be(2);
        FailuresIn(test).Should().ContainSingle();
    }

    [Fact]
    public async Task Disposed_namespace_makes_the_cache_miss_without_a_warning()
    {
        var test = await KvCache.OpenAsync(isPersisted: true);
        await test.Cache.SetAsync("k", [1], s_sliding);
        (await test.Cache.GetAsync("k")).Should().NotBeNull();
        await test.Namespace.DisposeAsync();

        test.Cache.Get("k").Should().BeNull();
        (await test.Cache.GetAsync("k")).Should().BeNull();
        await test.Cache.SetAsync("k", [2], new());
        await test.Cache.RemoveAsync("k");
        test.Cache.Refresh("k");
        ((KvDistributedCache)test.Cache).Dispose();
        test.Log.Warnings.Should().BeEmpty();
        await test.DisposeAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Damaged_file_of_a_large_value_makes_the_cache_miss(bool isCutOff)
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-damaged-").FullName;
        try
        {
            await using var kv = await KvNamespace.OpenAsync("CACHE_KV", new() { Persistence = new FilePersistence(directory) });
            using var log = new LogLines();
            using var counted = new AdapterRequests($"DAMAGED_{isCutOff}_KV");
            await using var cache = new KvDistributedCache(kv, new() { Name = "c", Namespace = $"DAMAGED_{isCutOff}_KV", Prefix = "", RegisteredBy = "a test" }, log);
            await cache.SetAsync("k", new byte[500_000], s_sliding);
            (await cache.GetAsync("k")).Should().HaveCount(500_000);
            cache.Get("k").Should().HaveCount(500_000);
            cache.TryGet("k", new ArrayBufferWriter<byte>()).Should().BeTrue();
            cache.Refresh("k");
            var file = new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories).Single(file => file.Length is > 500_000 and < 600_000);
            await using (var stream = file.OpenWrite())
            {
                if (isCutOff)
                {
                    stream.SetLength(1000);
                }
                else
                {
                    stream.Position = 400_000;
                    stream.WriteByte(1);
                }
            }

            var buffer = new ArrayBufferWriter<byte>();
            cache.Get("k").Should().BeNull();
            (await cache.GetAsync("k")).Should().BeNull();
            cache.TryGet("k", buffer).Should().BeFalse();
            (await cache.TryGetAsync("k", buffer)).Should().BeFalse();
            buffer.WrittenCount.Should().Be(0);
            log.Warnings.Should().ContainSingle().Which.Should().Contain("Operation: get");
            counted.Lines.Should().Equal(new[] { "set ok", "get hit", "get hit", "get hit", "refresh hit", "get error", "get error", "get error", "get error" }.Select(line => $"c {line} 1"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void Stale_entries_are_bounded_and_end_with_a_newer_version()
    {
        var stale = new KvStore.Distributed.StaleEntries();
        stale.IsEmpty.Should().BeTrue();
        for (var i = 1; i <= KvStore.Distributed.StaleEntries.KeysMax; i++)
        {
            stale.Add($"k{i}", i);
        }

        stale.Contains("k7", 7).Should().BeTrue();
        stale.Contains("k7", 8).Should().BeFalse();
        stale.Contains("other", 3).Should().BeFalse();
        stale.Add("one more", 200_000);
        stale.Keys.Count().Should().Be(KvStore.Distributed.StaleEntries.KeysMax);
        stale.Contains("other", 200_000).Should().BeTrue("what is older than the one that could not be remembered counts as stale");
        stale.Contains("other", 200_001).Should().BeFalse();
    }

    private static ReadOnlySequence<byte> Parts(int first, int second)
    {
        var head = new Part(new byte[first], null);
        var tail = new Part(new byte[second], head);
        return new ReadOnlySequence<byte>(head, 0, tail, second);
    }

    private static IEnumerable<string> FailuresIn(KvCache test) =>
        test.Log.Warnings.Where(line => line.Contains("the cache goes on without it", StringComparison.Ordinal));

    private sealed class Part : ReadOnlySequenceSegment<byte>
    {
        public Part(byte[] bytes, Part? before)
        {
            Memory = bytes;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
