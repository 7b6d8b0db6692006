using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Records;

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
    public long Address => HashEntry.AddressOf(Segment.Id, Record.Offset);
}
