using System.Diagnostics;
using KvStore.Keys;
using KvStore.Segments;

namespace KvStore.Memory;

/// <summary>
/// The one entry for mutations whose revision was given elsewhere: by the log that is recovered, or by another process. They
/// arrive in any order, and again and again; the highest revision of a key wins, and local mutations get higher ones afterwards.
/// </summary>
/// <remarks>
/// <para>Requires: <see cref="ShardedStore.ExpectLate"/> is in force, so that an older put which arrives late does not bring a
/// deleted or expired key back. A revision is given once in a namespace, wherever that is: two mutations with one revision count as
/// one mutation.</para>
/// <para>Mutations are copied into segments and published a batch at a time, so that the cache misses of a batch overlap. A batch is
/// published when it is full and by <see cref="Complete"/>.</para>
/// <para>Where many mutations come at once, as in a recovery, the intake fills segments of its own, and <see cref="Complete"/> ends the last
/// one. Where <see cref="Complete"/> is called after each few, they go into the segment that local writes fill: a segment is a quarter of
/// what the namespace has, and would be left almost empty each time.</para>
/// <para>Not thread-safe: one for each thread that applies mutations. Any number of them work side by side, beside readers and
/// local writers.</para>
/// </remarks>
/// <param name="store">The store.</param>
/// <param name="usesTailOfWriters">Whether mutations go into the segment that local writes fill.</param>
internal sealed class MutationIntake(ShardedStore store, bool usesTailOfWriters = false)
{
    private const int BatchRecords = 32;

    private readonly RecordDraft[] _drafts = new RecordDraft[BatchRecords];
    private readonly ulong[] _hashes = new ulong[BatchRecords];
    private readonly MutationDrafts _written = new(store, usesTailOfWriters);

    // The drafts from here up to the count are not published yet.
    private int _next;
    private int _count;
    private long _highestRevision;

    /// <summary>Whether a delete was applied, or a put that had expired, which is applied as a delete.</summary>
    public bool HasDeletes { get; private set; }

    /// <summary>Applies a mutation, not later than <see cref="Complete"/>. Its memory is copied.</summary>
    public void Add(in KvMutation mutation)
    {
        Debug.Assert(store.ExpectsLate, "An older put would bring a deleted key back.");
        if (mutation.Revision <= store.ArrivedThrough)
        {
            // A repeat of a mutation whose tombstone may be forgotten by now.
            return;
        }

        if (_count == BatchRecords)
        {
            Publish();
        }

        var key = mutation.Key.Span;
        var hash = KeyHash.OfUtf8(key);
        store.PrefetchBucket(hash);
        if (store.TryPassBelowFloor(new Utf8Key(key, hash), mutation.Revision))
        {
            HasDeletes = true;
            return;
        }

        _drafts[_count] = _written.Draft(mutation);
        HasDeletes |= _drafts[_count].Record.IsTombstone;
        _hashes[_count] = hash;
        _highestRevision = Math.Max(_highestRevision, mutation.Revision);
        _count++;
    }

    /// <summary>Applies a delete after everything that was added. Requires: no older mutation of the key arrives any more.</summary>
    public void Delete(ReadOnlySpan<byte> key, long revision)
    {
        HasDeletes = true;
        Publish();
        store.ContinueAfter(revision);
        store.RemoveOlder(new Utf8Key(key, KeyHash.OfUtf8(key)), revision);
    }

    /// <summary>Publishes everything that was added. More may be added.</summary>
    public void Complete()
    {
        Publish();
        _written.Seal();
    }

    private void Publish()
    {
        // Once for the batch: other threads that apply mutations write the same cache line.
        store.ContinueAfter(_highestRevision);
        for (; _next < _count; _next++)
        {
            // What fails for lack of memory has changed nothing, and is published by the next call.
            ref readonly var draft = ref _drafts[_next];
            store.PublishFromElsewhere(new Utf8Key(draft.Record.Key, _hashes[_next]), draft);
        }

        Array.Clear(_drafts, 0, _count);
        _next = _count = 0;
    }
}
