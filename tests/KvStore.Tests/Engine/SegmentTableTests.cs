using KvStore.Segments;

namespace KvStore.Tests.Engine;

/// <summary>How large the segments are.</summary>
public sealed class SegmentTableTests
{
    private const int RecordBytes = 64 * 1024;

    [Fact]
    public void Segments_grow_with_what_lives()
    {
        var segments = new SegmentTable();
        var first = segments.Reserve(RecordBytes).Segment;
        for (var i = 0; i < 200; i++)
        {
            segments.Reserve(RecordBytes);
        }

        segments.Reserve(RecordBytes).Segment.Bytes.Length.Should().BeGreaterThan(4 * first.Bytes.Length);
    }

    [Fact]
    public void Segments_do_not_grow_with_what_is_dead_and_not_dropped_yet()
    {
        var segments = new SegmentTable();
        for (var i = 0; i < 500; i++)
        {
            // As if each waited to be settled: a segment is not dropped before all of its records are.
            segments.Reserve(RecordBytes).Segment.CountDead(RecordBytes);
        }

        segments.SealTails(static (_, _) => true, argument: 0);
        segments.Reserve(RecordBytes).Segment.Bytes.Length.Should().BeLessThanOrEqualTo(2 * RecordBytes);
    }
}
