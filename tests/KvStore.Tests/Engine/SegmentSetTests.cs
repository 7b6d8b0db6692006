using KvStore.Index;
using KvStore.Records;
using KvStore.Segments;
using Record = KvStore.Records.Record;

namespace KvStore.Tests.Engine;

/// <summary>Which addresses lie in segments that are being cleaned.</summary>
public sealed class SegmentSetTests
{
    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    public void Holds_the_addresses_of_its_segments_and_no_others(int slots)
    {
        // Each in a slot of its own, as in a segment table, with numbers that have come far.
        var segments = new[] { 1, 2, 5 + (slots * 3), 14 + (slots * 1000), RecordAddress.SegmentIdEnd - 1 }
            .Select(id => new Segment(id, 64)).ToList();
        var set = new SegmentSet(segments, slots);

        foreach (var segment in segments)
        {
            set.Contains(RecordAddress.Of(segment.Id, 0)).Should().BeTrue();
            set.Contains(RecordAddress.Of(segment.Id, RecordAddress.SegmentBytesMax - Record.Alignment)).Should().BeTrue();
            set.Contains(unchecked((long)0xFFFF_0000_0000_0000) | RecordAddress.Of(segment.Id, 8)).Should().BeTrue("a scaled key is no part of an address");

            // One that was added since, when there were more slots.
            set.Contains(RecordAddress.Of((segment.Id + slots) % RecordAddress.SegmentIdEnd, 0)).Should().BeFalse();
        }

        set.Contains(RecordAddress.Of(3, 0)).Should().BeFalse();
    }
}
