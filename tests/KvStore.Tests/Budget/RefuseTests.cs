using System.Globalization;
using System.Text;

namespace KvStore.Tests.Budget;

/// <summary>A namespace that refuses puts when its budget for memory is used up.</summary>
public sealed class RefuseTests
{
    private const long Budget = 1 << 20;
    private const int SegmentBytes = 16 * 1024;

    private static readonly KvMemoryOptions s_memory = new() { BytesMax = Budget };

    private static KvNamespace Create(TimeProvider? time = null) => KvNamespace.Create(
        "CACHE",
        new KvNamespaceOptions
        {
            Memory = s_memory,
            TimeProvider = time ?? TimeProvider.System,
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
        });

    // Returns how many were taken.
    private static async Task<int> FillAsync(KvNamespace kv, int valueBytes, string prefix = "k", KvPutOptions? options = null)
    {
        for (var i = 0; ; i++)
        {
            try
            {
                await kv.PutAsync($"{prefix}{i:D6}", new byte[valueBytes], options);
            }
            catch (KvException e) when (e.StatusCode == 507)
            {
                return i;
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(300)]
    [InlineData(5_000)]
    [InlineData(100_000)]
    public async Task Puts_are_taken_until_the_budget_is_used_and_not_beyond(int valueBytes)
    {
        await using var kv = Create();

        var taken = await FillAsync(kv, valueBytes);

        kv.MemoryBytes.Should().BeInRange(Budget - Math.Max(valueBytes + 4096, 6 * SegmentBytes), Budget + (2 * SegmentBytes));
        kv.Count.Should().Be(taken);
        (await kv.ListAsync(new KvListOptions { Limit = 1000 })).Keys.Count.Should().Be(Math.Min(taken, 1000));
        kv.MemoryBytes.Should().BeLessThan(Budget + (4 * SegmentBytes));
    }

    [Fact]
    public async Task Refusal_says_what_is_used_and_what_is_allowed()
    {
        await using var kv = Create();
        await FillAsync(kv, 5000);

        var refusal = (await kv.Invoking(k => k.PutAsync("one\nmore", new byte[5000]).AsTask()).Should().ThrowAsync<KvException>()).Which;

        refusal.StatusCode.Should().Be(507);
        refusal.Operation.Should().Be("PUT");
        refusal.Message.Should().Match(
            "KV PUT failed: 507 memory budget exceeded: the namespace \"CACHE\" uses * bytes of memory, keeps 73728 free to remember deletes, and may use 1048576, which leaves no room for the key \"one\\u000Amore\" with 5008 bytes.");
        long.Parse(refusal.Message.Split(' ')[11], CultureInfo.InvariantCulture).Should().BeInRange(Budget - 73728 - (2 * SegmentBytes), Budget);
        (await kv.GetBytesAsync("one\nmore")).Should().BeNull();
    }

    [Fact]
    public async Task At_the_border_an_entry_may_be_deleted_or_shrunk_but_not_enlarged()
    {
        await using var kv = Create();
        var taken = await FillAsync(kv, 900);
        await kv.PutAsync("k000000", new byte[100]);
        await kv.PutAsync("k000001", new byte[900]);
        await FillAsync(kv, 0, "tiny");

        await kv.Invoking(k => k.PutAsync("k000002", new byte[20_000]).AsTask()).Should().ThrowAsync<KvException>();
        await kv.PutAsync("k000003", new byte[899]);
        await kv.PutAsync("k000004", "small");
        await kv.DeleteAsync("k000005");

        (await kv.GetBytesAsync("k000000"))!.Value.Length.Should().Be(100);
        (await kv.GetBytesAsync("k000002"))!.Value.Length.Should().Be(900, "a refused put changes nothing");
        (await kv.GetBytesAsync("k000003"))!.Value.Length.Should().Be(899);
        (await kv.GetTextAsync("k000004")).Should().Be("small");
        (await kv.GetBytesAsync("k000005")).Should().BeNull();
        kv.Count.Should().BeGreaterThan(taken - 2);
    }

    [Fact]
    public async Task Overwriting_at_the_border_is_never_refused_and_stays_in_the_budget()
    {
        await using var kv = Create();
        var taken = await FillAsync(kv, 500);
        var random = new Random(1);

        for (var i = 0; i < 20_000; i++)
        {
            await kv.PutAsync($"k{random.Next(taken):D6}", new byte[500]);
            if (i % 1000 == 0)
            {
                kv.MemoryBytes.Should().BeLessThan(Budget + (3 * SegmentBytes));
            }
        }

        kv.Count.Should().Be(taken);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(300)]
    [InlineData(5_000)]
    public async Task Deleted_bytes_can_be_used_at_once(int valueBytes)
    {
        await using var kv = Create();
        var taken = await FillAsync(kv, valueBytes);
        for (var i = 0; i < taken; i += 2)
        {
            await kv.DeleteAsync($"k{i:D6}");
        }

        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * SegmentBytes), "room was kept to remember what was deleted");

        var again = await FillAsync(kv, valueBytes, "n");

        // Half of them, but for the one record in sixteen that may stay dead, a segment, and leaves of the ordered index that are half empty.
        again.Should().BeGreaterThan(taken / 3);
        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * SegmentBytes));
    }

    [Fact]
    public async Task Expired_entries_make_room_before_anything_sweeps_them()
    {
        var time = new HandMovedTime();
        await using var kv = Create(time);
        var taken = await FillAsync(kv, 300, options: new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(10) });
        time.Now += TimeSpan.FromSeconds(11);

        var again = await FillAsync(kv, 300, "n");

        again.Should().BeInRange(taken * 9 / 10, taken * 11 / 10);
        kv.Count.Should().Be(again);
    }

    [Fact]
    public async Task Writers_side_by_side_exceed_the_budget_by_two_segments_each_at_most()
    {
        const int Writers = 8;
        await using var kv = Create();

        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(() => FillAsync(kv, 200, $"{writer} "))));

        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (2 * Writers * SegmentBytes));
    }

    [Fact]
    public async Task Value_that_no_budget_could_hold_is_refused_and_the_rest_stays()
    {
        await using var kv = Create();
        await kv.PutAsync("kept", "v");

        await kv.Invoking(k => k.PutAsync("bytes", new byte[2 << 20]).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 507);
        await kv.Invoking(k => k.PutAsync("text", new string('x', 2 << 20)).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 507);
        await kv.Invoking(k => k.PutAsync("stream", new MemoryStream(new byte[2 << 20])).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 507);

        (await kv.GetTextAsync("kept")).Should().Be("v");
        kv.Count.Should().Be(1);
    }

    [Fact]
    public async Task Large_values_in_files_count_their_records_alone()
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-budget-");
        try
        {
            await using var kv = await KvNamespace.OpenAsync(
                "CACHE", new KvNamespaceOptions { Memory = s_memory, Persistence = new FilePersistence(directory.FullName, new FilePersistenceOptions { Durability = Durability.Buffered }) });
            for (var i = 0; i < 20; i++)
            {
                await kv.PutAsync($"large {i}", new byte[300_000]);
            }

            kv.MemoryBytes.Should().BeLessThan(Budget / 4);
            kv.Count.Should().Be(20);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Namespace_on_disk_that_is_larger_than_its_budget_opens_and_takes_deletes()
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-budget-");
        try
        {
            var persistence = new FilePersistenceOptions { Durability = Durability.Buffered };
            await using (var kv = await KvNamespace.OpenAsync("CACHE", new KvNamespaceOptions { Persistence = new FilePersistence(directory.FullName, persistence) }))
            {
                for (var i = 0; i < 4000; i++)
                {
                    await kv.PutAsync($"k{i}", Encoding.UTF8.GetBytes(new string('x', 1000)));
                }
            }

            await using (var kv = await KvNamespace.OpenAsync(
                "CACHE", new KvNamespaceOptions { Memory = s_memory, Persistence = new FilePersistence(directory.FullName, persistence) }))
            {
                kv.Count.Should().Be(4000);
                await kv.Invoking(k => k.PutAsync("new", new byte[20_000]).AsTask()).Should().ThrowAsync<KvException>().Where(e => e.StatusCode == 507);
                for (var i = 0; i < 3900; i++)
                {
                    await kv.DeleteAsync($"k{i}");
                }

                await kv.PutAsync("new", new byte[20_000]);
                kv.Count.Should().Be(101);
                kv.MemoryBytes.Should().BeLessThan(Budget + (4 * SegmentBytes));
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    // Moves without running a timer, so that nothing is swept in the background.
    private sealed class HandMovedTime : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new NoTimer();

        private sealed class NoTimer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => default;
        }
    }
}
