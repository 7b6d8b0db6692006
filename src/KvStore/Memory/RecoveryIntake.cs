using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// Takes recovered mutations on one thread, as fast as memory allows: into segments of its own, and into the index a batch
/// at a time, so that the cache misses of a batch overlap.
/// </summary>
/// <remarks>
/// Not thread-safe: one for each thread that recovers. What was added can be found after <see cref="Complete"/>.
/// </remarks>
internal sealed class RecoveryIntake(ShardedStore store)
{
    private const int BatchRecords = 32;

    private readonly RecordDraft[] _drafts = new RecordDraft[BatchRecords];
    private readonly ulong[] _hashes = new ulong[BatchRecords];
    private readonly bool[] _isDelete = new bool[BatchRecords];
    private Segment? _tail;
    private int _count;

    /// <summary>Takes a mutation. Its memory is copied.</summary>
    public void Add(in KvMutation mutation)
    {
        var key = mutation.Key.Span;
        var metadata = mutation.Metadata.Span;
        var value = mutation.Value.Span;
        var isLarge = !mutation.LargeValue.IsNone;
        var valueBytes = isLarge ? Record.ReferenceBytes : value.Length;
        var draft = store.Segments.Reserve(ref _tail, Record.SizeFor(key.Length, metadata.Length, valueBytes));
        var record = draft.Record;
        record.Initialize(key.Length, metadata.Length, valueBytes, mutation.Deadline);
        record.SetRevision(mutation.Revision);
        key.CopyTo(record.DraftKey);
        metadata.CopyTo(record.DraftMetadata);
        if (isLarge)
        {
            record.SetLargeValue(mutation.LargeValue);
        }
        else
        {
            value.CopyTo(record.DraftValue);
        }

        if (mutation.DeadlineSeconds != 0)
        {
            draft.Segment.NoteDeadline(mutation.Deadline.EarliestSecond);
        }

        var hash = KeyHash.OfUtf8(key);
        store.PrefetchWords(hash);
        _drafts[_count] = draft;
        _hashes[_count] = hash;
        _isDelete[_count] = mutation.IsDelete;
        if (++_count == BatchRecords)
        {
            Publish();
        }
    }

    /// <summary>Everything that was added can be found afterwards. More may be added.</summary>
    public void Complete()
    {
        Publish();
        if (_tail is { } tail)
        {
            store.Segments.Seal(tail);
            _tail = null;
        }
    }

    private void Publish()
    {
        for (var i = 0; i < _count; i++)
        {
            ref readonly var draft = ref _drafts[i];
            store.PublishNumbered(new Utf8Key(draft.Record.Key, _hashes[i]), draft, _isDelete[i]);
        }

        Array.Clear(_drafts, 0, _count);
        _count = 0;
    }
}
