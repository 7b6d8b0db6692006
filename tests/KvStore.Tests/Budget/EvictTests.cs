using System.Buffers.Binary;

namespace KvStore.Tests.Budget;

/// <summary>A namespace that evicts entries when its budget for memory is used up.</summary>
public sealed class EvictTests
{
    private const long Budget = 1 << 20;
    private const int SegmentBytes = 16 * 1024;

    private static readonly KvMemoryOptions s_memory = new() { BytesMax = Budget, WhenFull = KvMemoryPolicy.Evict };

    private static KvNamespace Create(TimeProvider? time = null, KvReplicationOptions? replication = null) => KvNamespace.Create(
        "CACHE",
        new KvNamespaceOptions
        {
            Memory = s_memory,
            TimeProvider = time ?? TimeProvider.System,
            Replication = replication,
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
        });

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(300)]
    [InlineData(5_000)]
    [InlineData(100_000)]
    public async Task Ten_times_the_budget_can_be_written_and_memory_stays_within_it(int valueBytes)
    {
        await using var kv = Create();
        var puts = (int)(10 * Budget / (valueBytes + 40));
        for (var i = 0; i < puts; i++)
        {
            await kv.PutAsync($"k{i:D6}", ValueOf(i, valueBytes));
            if (i % Math.Max(1, puts / 100) == 0)
            {
                // And what the background work takes to make room.
                kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * SegmentBytes) + valueBytes + (Budget / 8));
            }
        }

        kv.Count.Should().BeGreaterThan((long)(Budget * 0.55 / (valueBytes + 110)));

        // The background may be evicting: one entry is in neither count.
        CountEver(kv).Should().BeInRange(puts - 1, puts);
        (await kv.GetBytesAsync($"k{puts - 1:D6}")).Should().NotBeNull("what was written last is there");
        var keys = await ListAllAsync(kv);
        keys.Should().HaveCountGreaterThanOrEqualTo((int)kv.Count).And.BeInAscendingOrder(StringComparer.Ordinal).And.OnlyHaveUniqueItems();
        var found = 0;
        foreach (var key in keys)
        {
            if (await kv.GetBytesAsync(key) is { } value)
            {
                found++;
                value.ToArray().Should().Equal(ValueOf(int.Parse(key.AsSpan(1)), valueBytes));
            }
        }

        // The background may still evict some, to have room for the next puts.
        found.Should().BeGreaterThanOrEqualTo(keys.Count * 8 / 10);
    }

    [Fact]
    public async Task Entries_that_are_read_stay_and_the_others_leave()
    {
        await using var kv = Create();
        for (var i = 0; i < 500; i++)
        {
            await kv.PutAsync($"hot{i}", ValueOf(i, 200));
        }

        for (var i = 0; i < 40_000; i++)
        {
            await kv.PutAsync($"k{i:D6}", ValueOf(i, 200));
            kv.TryGet($"hot{i % 500}", out _);
        }

        var there = Enumerable.Range(0, 500).Count(i => kv.TryGet($"hot{i}", out _));
        there.Should().Be(500);
    }

    [Fact]
    public async Task Entry_larger_than_the_budget_is_refused_and_evicts_nothing_of_use()
    {
        await using var kv = Create();
        await kv.PutAsync("kept", "v");

        await kv.Invoking(k => k.PutAsync("huge", new byte[2 << 20]).AsTask()).Should().ThrowAsync<KvException>()
            .Where(e => e.StatusCode == 507 && e.Message.Contains("memory budget exceeded"));

        (await kv.GetTextAsync("kept")).Should().Be("v");
    }

    [Theory]
    [InlineData(960_000, false)]
    [InlineData(Budget, false)]
    [InlineData(3 << 20, false)]
    [InlineData(3 << 20, true)]
    public async Task Entry_for_which_a_full_cache_has_no_room_evicts_nothing(int valueBytes, bool isStream)
    {
        await using var kv = Create();
        for (var i = 0; i < 5_000; i++)
        {
            await kv.PutAsync($"k{i:D6}", ValueOf(i, 400));
        }

        var count = kv.Count;
        KvContent huge = isStream ? new MemoryStream(new byte[valueBytes]) : new byte[valueBytes];
        await kv.Invoking(k => k.PutAsync("huge", huge).AsTask()).Should().ThrowAsync<KvException>()
            .Where(e => e.StatusCode == 507 && e.Message.Contains("memory budget exceeded"));

        // The background may be making room for the puts before.
        kv.Count.Should().BeGreaterThan(count * 8 / 10);
    }

    [Fact]
    public async Task Largest_entry_that_a_budget_takes_is_stored_in_a_full_cache()
    {
        await using var kv = Create();
        for (var i = 0; i < 5_000; i++)
        {
            await kv.PutAsync($"k{i:D6}", ValueOf(i, 400));
        }

        await kv.PutAsync("large", new byte[900_000]);

        (await kv.GetAsync("large")).Length.Should().Be(900_000);
    }

    [Fact]
    public async Task Expired_entries_leave_before_others()
    {
        var time = new FakeTimeProvider();
        await using var kv = Create(time);
        for (var i = 0; i < 1000; i++)
        {
            await kv.PutAsync($"lasting{i}", ValueOf(i, 200));
        }

        for (var i = 0; i < 1000; i++)
        {
            await kv.PutAsync($"short{i}", ValueOf(i, 200), new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(5) });
        }

        time.Advance(TimeSpan.FromSeconds(6));
        for (var i = 0; i < 1000; i++)
        {
            await kv.PutAsync($"new{i}", ValueOf(i, 200));
        }

        kv.EvictedCount.Should().Be(0);
        kv.Count.Should().Be(2000);
    }

    [Fact]
    public async Task Overwriting_and_deleting_evict_nothing_where_there_is_room_for_what_lives()
    {
        await using var kv = Create();
        var random = new Random(1);
        for (var i = 0; i < 100_000; i++)
        {
            var key = $"k{random.Next(1500)}";
            await (random.Next(10) == 0 ? kv.DeleteAsync(key) : kv.PutAsync(key, ValueOf(i, 200)));
        }

        kv.EvictedCount.Should().BeLessThan(50);
        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * SegmentBytes) + (Budget / 8));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Views_stay_right_while_everything_around_them_is_evicted(bool hasRegions)
    {
        await using var kv = Create(replication: hasRegions ? new KvReplicationOptions { Regions = ["a", "b"], Lag = KvLag.Fixed(TimeSpan.FromMilliseconds(5)) } : null);
        var region = hasRegions ? kv.InRegion("b") : kv;
        using var done = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 3).Select(writer => Task.Run(async () =>
        {
            var random = new Random(writer);
            for (var i = 0; i < 15_000; i++)
            {
                var key = random.Next(20_000);
                switch (random.Next(10))
                {
                    case 0:
                        await kv.DeleteAsync($"k{key:D6}");
                        break;
                    case 1:
                        await kv.PutAsync($"k{key:D6}", ValueOf(key, 100), new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) });
                        break;
                    default:
                        await kv.PutAsync($"k{key:D6}", ValueOf(key, random.Next(50, 300)));
                        break;
                }
            }
        })).ToArray();
        var readers = Enumerable.Range(0, 2).Select(reader => Task.Run(async () =>
        {
            var random = new Random(100 + reader);
            var held = new List<(int Key, KvValue Value)>();
            while (!done.IsCancellationRequested)
            {
                var key = random.Next(20_000);
                var value = await region.GetAsync($"k{key:D6}");
                if (value.Exists)
                {
                    Check(key, value);
                    held.Add((key, value));
                }

                if (random.Next(1000) == 0)
                {
                    _ = await region.ListAsync(new KvListOptions { Prefix = $"k0{random.Next(10)}" });
                }

                if (held.Count > 2000)
                {
                    held.ForEach(view => Check(view.Key, view.Value));
                    held.RemoveRange(0, 1000);
                }
            }

            held.ForEach(view => Check(view.Key, view.Value));
        })).ToArray();
        await Task.WhenAll(writers);
        await done.CancelAsync();
        await Task.WhenAll(readers);

        kv.EvictedCount.Should().BeGreaterThan(0);
        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * 3 * SegmentBytes) + (Budget / 8));

        static void Check(int key, KvValue value)
        {
            BinaryPrimitives.ReadInt32LittleEndian(value.GetBytes().Span).Should().Be(key);
            value.GetBytes().Span[4..].ContainsAnyExcept((byte)key).Should().BeFalse();
        }
    }

    [Fact]
    public async Task Watchers_are_shown_what_was_evicted()
    {
        await using var kv = Create();
        await kv.PutAsync("watched", "v");
        var changes = kv.WatchAsync(new KvWatchOptions { Key = "watched", Start = KvWatchStart.Current }).GetAsyncEnumerator();
        await using (changes.ConfigureAwait(false))
        {
            (await changes.MoveNextAsync()).Should().BeTrue();
            (await changes.MoveNextAsync()).Should().BeTrue();
            changes.Current.Kind.Should().Be(KvChangeKind.Current);
            for (var i = 0; i < 20_000; i++)
            {
                await kv.PutAsync($"k{i}", ValueOf(i, 200));
            }

            (await changes.MoveNextAsync()).Should().BeTrue();
            changes.Current.Kind.Should().Be(KvChangeKind.Evict);
            changes.Current.Key.Should().Be("watched");
        }
    }

    [Fact]
    public async Task Evictions_are_counted_in_the_metrics()
    {
        var measured = 0L;
        using var listener = new System.Diagnostics.Metrics.MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Name == "kvstore.evicted")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
            measured = tags.ToArray().Any(tag => tag.Value is "COUNTED") ? value : measured);
        listener.Start();
        await using var kv = KvNamespace.Create("COUNTED", new KvNamespaceOptions { Memory = s_memory });
        for (var i = 0; i < 20_000; i++)
        {
            await kv.PutAsync($"k{i}", ValueOf(i, 200));
        }

        listener.RecordObservableInstruments();

        measured.Should().BeInRange(10_000, kv.EvictedCount);
    }

    // What is there, and what was evicted, at one moment.
    private static long CountEver(KvNamespace kv)
    {
        while (true)
        {
            var evicted = kv.EvictedCount;
            var count = kv.Count;
            if (kv.EvictedCount == evicted)
            {
                return evicted + count;
            }
        }
    }

    internal static byte[] ValueOf(int number, int bytes)
    {
        var value = new byte[bytes];
        value.AsSpan().Fill((byte)number);
        if (bytes >= sizeof(int))
        {
            BinaryPrimitives.WriteInt32LittleEndian(value, number);
        }

        return value;
    }

    internal static async Task<List<string>> ListAllAsync(IKvNamespace kv)
    {
        var keys = new List<string>();
        string? cursor = null;
        do
        {
            var page = await kv.ListAsync(new KvListOptions { Cursor = cursor });
            keys.AddRange(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);
        return keys;
    }
}
