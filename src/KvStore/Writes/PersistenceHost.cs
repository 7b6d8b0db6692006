using System.Buffers;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using Microsoft.Extensions.Logging;

namespace KvStore.Writes;

/// <summary>The engine as a persistence provider sees it: takes the recovered state, and shows the live one.</summary>
internal sealed class PersistenceHost(ShardedStore store, Committer committer, KvNamespaceOptions options) : IKvPersistenceHost, IDisposable
{
    private const int PageEntries = 1024;

    private volatile bool _hasIncomplete;

    // One for each thread that recovers.
    private readonly ThreadLocal<MutationIntake> _intakes = new(() => new MutationIntake(store), trackAllValues: true);
    private bool _isInOrder;

    public TimeProvider TimeProvider => options.TimeProvider;

    public ILoggerFactory? LoggerFactory => options.LoggerFactory;

    public long LiveEntries => store.Count;

    public long LiveBytes => store.LiveBytes;

    public bool HasEvicted => store.HasEvicted;

    public bool NeedsOrder => store.HasBudget;

    public void RecoverInOrder()
    {
        CompleteIntakes();
        _isInOrder = true;
    }

    public void Prepare(long mutations, long bytes) => store.Prepare(mutations);

    public void Recover(in KvMutation mutation)
    {
        if (!_hasIncomplete)
        {
            // Written once, because all threads that recover read it.
            _hasIncomplete = true;
        }

        if (_isInOrder && mutation.IsDelete)
        {
            _intakes.Value!.Delete(mutation.Key.Span, mutation.Revision);
        }
        else
        {
            _intakes.Value!.Add(mutation);
        }
    }

    public void RecoverTouch(in KvMutation mutation)
    {
        // Called by one thread, when no other recovers any more.
        CompleteIntakes();
        store.RecoverTouch(new Utf8Key(mutation.Key.Span), mutation.Revision, mutation.TouchedRevision, mutation.Deadline);
    }

    public bool IsCurrent(ReadOnlySpan<byte> key, long revision)
    {
        // Called by one thread, when no other recovers any more.
        CompleteIntakes();
        return store.TryFind(new Utf8Key(key), out var record) && record.Revision == revision;
    }

    /// <summary>Ends recovery: everything that was recovered is visible, and nothing is recovered any more.</summary>
    /// <returns>Whether a delete was recovered, or a put that had expired: the two are the same here.</returns>
    public bool EndRecovery()
    {
        CompleteIntakes();
        return _intakes.Values.Any(static intake => intake.HasDeletes);
    }

    /// <summary>Frees what recovery needed. The live entries can still be shown.</summary>
    public void Dispose() => _intakes.Dispose();

    public async ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken)
    {
        await committer.WhenSettledAsync(throughRevision).WaitAsync(cancellationToken).ConfigureAwait(false);
        var lateTouches = committer.LateTouches;
        AllocationProbe.Before();
        var page = ArrayPool<Record>.Shared.Rent(PageEntries);
        try
        {
            var shown = new ShownRecords();
            byte[] after = [];
            int count;
            do
            {
                cancellationToken.ThrowIfCancellationRequested();
                count = store.List(prefix: [], after, page.AsSpan(0, PageEntries));
                foreach (var record in page.AsSpan(0, count))
                {
                    write(record.ToMutation(record.Revision));
                    shown.Add(record);
                }

                after = count == 0 ? after : page[count - 1].Key.ToArray();
            }
            while (count == PageEntries);
            WriteMissed(shown, throughRevision, page, write, cancellationToken);
            if (committer.HasTouchesInFlight)
            {
                await committer.WhenSettledAsync(store.Revision).WaitAsync(cancellationToken).ConfigureAwait(false);
            }

            if (committer.LateTouches != lateTouches)
            {
                // An entry had expired when it should have been shown, and lives on by a touch that was in flight. The log after the
                // snapshot has the touch, but not the entry. This happens when a flush takes longer than the life that is left.
                WriteMissed(shown, store.Revision, page, write, cancellationToken);
            }
        }
        finally
        {
            // Not to keep segments alive from the pool.
            ArrayPool<Record>.Shared.Return(page, clearArray: true);
        }
    }

    // The ordered index is derived, and an entry that a compaction does not see is lost for good. So the hash index is walked as well.
    private void WriteMissed(ShownRecords shown, long throughRevision, Record[] page, KvMutationHandler write, CancellationToken cancellationToken)
    {
        var missed = 0;
        var cursor = default(HashIndexCursor);
        int count;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            count = store.FindOthers(shown, throughRevision, ref cursor, page.AsSpan(0, PageEntries));
            foreach (var record in page.AsSpan(0, count))
            {
                write(record.ToMutation(record.Revision));
                missed += store.IsListed(record) ? 0 : 1;
            }
        }
        while (!cursor.IsEnd);
        if (missed > 0)
        {
            // Some keys are in the hash index and not in the ordered one, which is made anew from the hash index. Records that the
            // cleaner has moved meanwhile are in both, and not counted.
            store.Ordered.Drop();
        }
    }

    private void CompleteIntakes()
    {
        if (!_hasIncomplete)
        {
            return;
        }

        foreach (var intake in _intakes.Values)
        {
            intake.Complete();
        }

        _hasIncomplete = false;
    }
}
