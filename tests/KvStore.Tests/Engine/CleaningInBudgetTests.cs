using System.Text;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;

namespace KvStore.Tests.Engine;

/// <summary>What bringing memory back takes meanwhile, where memory is limited.</summary>
public sealed class CleaningInBudgetTests : IDisposable
{
    private const long Budget = 1 << 20;
    private const int SegmentBytes = 16 * 1024;

    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly Cleaner _cleaner;

    public CleaningInBudgetTests()
    {
        _clock = new CoarseClock(_time);
        _store = new ShardedStore(_clock, _time, memory: new KvMemoryOptions { BytesMax = Budget });
        _store.HoldMaintenance();
        _cleaner = _store.NewCleaner();
    }

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Fact]
    public void Cleaning_copies_a_thirty_second_of_the_budget_at_once_until_it_is_done()
    {
        for (var i = 0; i < 20_000; i++)
        {
            Put($"k{i:D6}");
        }

        for (var i = 0; i < 20_000; i += 2)
        {
            var revision = 0L;
            _store.Remove(KeyOf($"k{i:D6}"), ref revision);
        }

        var peak = 0L;
        _store.Segments.SegmentAdded += () => peak = Math.Max(peak, _store.Segments.Bytes);
        var before = _store.Segments.Bytes;
        var live = _store.LiveBytes;
        var runs = 0;
        while (_cleaner.Run(oneIn: 6))
        {
            runs++;
        }

        peak.Should().BeLessThanOrEqualTo(before + (Budget / 32) + (2 * SegmentBytes));
        runs.Should().BeGreaterThan(4);
        _store.Segments.Bytes.Should().BeLessThan(Math.Max(live * 6 / 5, live + (300 * 1024)));
        _store.LiveBytes.Should().Be(live);
    }

    [Fact]
    public void Buffers_of_keys_that_waited_long_are_given_back()
    {
        // The background comes late: some 300 keys wait in each shard.
        for (var i = 0; i < 20_000; i++)
        {
            Put($"k{i:D6}");
        }

        _store.Ordered.Bytes.Should().BeGreaterThan(20_000 * sizeof(long));
        _store.Ordered.Merge();
        _store.Ordered.Bytes.Should().BeLessThan((20_000 / (Leaf.Capacity / 2) * Leaf.Bytes) + (Budget / 8));
    }

    [Fact]
    public void Buffers_that_are_kept_for_the_next_keys_are_given_back_when_trimmed()
    {
        for (var i = 0; i < 500; i++)
        {
            Put($"k{i:D6}");
        }

        _store.Ordered.Merge();
        var merged = _store.Ordered.Bytes;

        _store.Ordered.TrimBuffers();

        _store.Ordered.Bytes.Should().BeLessThanOrEqualTo(merged - (500 * sizeof(long)));
    }

    private static Utf8Key KeyOf(string name) => new(Encoding.UTF8.GetBytes(name));

    private void Put(string name)
    {
        var key = KeyOf(name);
        var draft = _store.Draft(key, metadataBytes: 0, valueBytes: 100, deadline: default);
        draft.Record.DraftValue.Clear();
        _store.Publish(key, draft);
    }
}
