using KvStore.Index;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Segments;

/// <summary>
/// A record that has its room, header and key, and that nobody else can see yet: to be filled with metadata and value, and
/// then published or abandoned, exactly once.
/// </summary>
internal readonly struct RecordDraft(Segment segment, int offset)
{
    /// <summary>Whether this is no draft, which stands for the delete of a key that needs no tombstone.</summary>
    public bool IsNone => Segment is null;

    /// <summary>Whether the key is deleted: by a tombstone, or without one.</summary>
    public bool IsDelete => IsNone || Record.IsTombstone;

    /// <summary>The segment in which it lies.</summary>
    public Segment Segment { get; } = segment;

    /// <summary>The record.</summary>
    public Record Record { get; } = new(segment.Bytes, offset);

    /// <summary>Its address.</summary>
    public long Address => RecordAddress.Of(Segment.Id, Record.Offset);

    /// <summary>Abandons the record, whose large value, if it has one, belongs to another record. Its bytes are dead from the start.</summary>
    public void Discard()
    {
        var bytes = Record.SizeInSegment;
        Record.MarkDead();
        Segment.CountDead(bytes);
        Segment.Settle(bytes);
    }
}
