using System.Text;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;

namespace KvStore.Tests.Engine;

/// <summary>What bringing memory back costs by itself.</summary>
public sealed class CleanerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CoarseClock _clock;
    private readonly ShardedStore _store;
    private readonly Cleaner _cleaner;
    private int _segments;

    public CleanerTests()
    {
        _clock = new CoarseClock(_time);
        _store = new ShardedStore(_clock, _time);
        _store.HoldMaintenance();
        _store.Segments.SegmentAdded += () => _segments++;
        _cleaner = new Cleaner(_store);
    }

    public void Dispose()
    {
        _store.Dispose();
        _clock.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(50_000)]
    public void Overwriting_a_key_fills_a_segment_before_the_next_however_often_it_is_cleaned(int others)
    {
        for (var i = 0; i < others; i++)
        {
            Put($"other {i}");
        }

        _segments = 0;
        var before = _store.Revision;
        var size = 0L;
        for (var i = 0; i < 50_000; i++)
        {
            size += Put("hot");
            if (i % 10 == 0)
            {
                _cleaner.Run(oneIn: 3);
            }
        }

        (_store.Revision - before).Should().Be(50_000);
        var filled = size / (double)_store.Segments.ToList().Max(segment => segment.Bytes.Length);

        // Half-filled ones, and some that the cleaner moves survivors to.
        _segments.Should().BeInRange(1, (int)(4 * filled) + 4);
    }

    private int Put(string name)
    {
        var key = new Utf8Key(Encoding.UTF8.GetBytes(name));
        var draft = _store.Draft(key, metadataBytes: 0, valueBytes: 100, deadline: default);
        draft.Record.DraftValue.Clear();
        _store.Publish(key, draft);
        return draft.Record.SizeInSegment;
    }
}
