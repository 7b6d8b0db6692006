using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>Writes mutations whose revision was given elsewhere into segments, where nobody else can see them yet.</summary>
/// <remarks>Not thread-safe.</remarks>
/// <param name="store">The store.</param>
/// <param name="usesTailOfWriters">Whether they go into the segment that local writes fill, and not into segments of their own.</param>
internal sealed class MutationDrafts(ShardedStore store, bool usesTailOfWriters = false)
{
    private Segment? _tail;

    /// <summary>A draft of a mutation, whose memory is copied. A put that has expired becomes a tombstone.</summary>
    public RecordDraft Draft(in KvMutation mutation)
    {
        var key = mutation.Key.Span;
        if (mutation.IsDelete || store.HasPassed(mutation.Deadline))
        {
            var tombstone = Reserve(key, metadataBytes: 0, valueBytes: 0, deadline: default, mutation.Revision);
            tombstone.Record.MarkTombstone();
            return tombstone;
        }

        var metadata = mutation.Metadata.Span;
        var value = mutation.Value.Span;
        var isLarge = !mutation.LargeValue.IsNone;
        var draft = Reserve(key, metadata.Length, isLarge ? Record.ReferenceBytes : value.Length, mutation.Deadline, mutation.Revision);
        metadata.CopyTo(draft.Record.DraftMetadata);
        if (isLarge)
        {
            draft.Record.SetLargeValue(mutation.LargeValue);
        }
        else
        {
            value.CopyTo(draft.Record.DraftValue);
        }

        if (!mutation.Deadline.IsNone)
        {
            draft.Segment.NoteDeadline(mutation.Deadline.EarliestSecond);
        }

        return draft;
    }

    /// <summary>Ends the segment in use, so that it can be walked once everything in it is settled.</summary>
    public void Seal()
    {
        if (_tail is { } tail)
        {
            store.Segments.Seal(tail);
            _tail = null;
        }
    }

    private RecordDraft Reserve(ReadOnlySpan<byte> key, int metadataBytes, int valueBytes, Deadline deadline, long revision)
    {
        var size = Record.SizeFor(key.Length, metadataBytes, valueBytes);
        if (usesTailOfWriters ? store.Segments.BytesToAddFor(size) > 0 : _tail?.HasRoom(size) != true)
        {
            store.MakeRoomForRecovery(size);
        }

        var draft = usesTailOfWriters ? store.Segments.Reserve(size) : store.Segments.Reserve(ref _tail, size, SegmentQueue.Main);
        draft.Record.Initialize(key.Length, metadataBytes, valueBytes, deadline);
        draft.Record.SetRevision(revision);
        key.CopyTo(draft.Record.DraftKey);
        return draft;
    }
}
