using System.Buffers;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using Microsoft.Extensions.Logging;

namespace KvStore.Writes;

/// <summary>The engine as a persistence provider sees it: what takes the recovered state, and shows the live one.</summary>
internal sealed class PersistenceHost(ShardedStore store, KvNamespaceOptions options) : IKvPersistenceHost, IDisposable
{
    private const int PageEntries = 1024;

    // One for each thread that recovers.
    private readonly ThreadLocal<RecoveryIntake> _intakes = new(() => new RecoveryIntake(store), trackAllValues: true);
    private volatile bool _hasRecoveredDeletes;

    /// <summary>What the provider's appends are in flight with; null while it opens.</summary>
    public MutationLog? Log { get; set; }

    /// <summary>Whether a delete was recovered, or a put that had expired: those look alike here.</summary>
    public bool HasRecoveredDeletes => _hasRecoveredDeletes;

    public TimeProvider TimeProvider => options.TimeProvider;

    public ILoggerFactory? LoggerFactory => options.LoggerFactory;

    public long LiveEntries => store.Count;

    public long LiveBytes => store.LiveBytes;

    public void Prepare(long mutations, long bytes) => store.Prepare(mutations);

    public void Recover(in KvMutation mutation)
    {
        if (mutation.IsDelete && !_hasRecoveredDeletes)
        {
            _hasRecoveredDeletes = true;
        }

        _intakes.Value!.Add(mutation);
    }

    public bool IsCurrent(ReadOnlySpan<byte> key, long revision)
    {
        // Asked by one thread, when no other recovers any more.
        CompleteIntakes();
        return store.TryFind(new Utf8Key(key), out var record) && record.Revision == revision;
    }

    /// <summary>Ends recovery: everything that came can be found afterwards, and nothing comes any more.</summary>
    public void Dispose()
    {
        CompleteIntakes();
        _intakes.Dispose();
    }

    public async ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken)
    {
        if (Log is { } log)
        {
            await log.WhenSettledAsync(throughRevision).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

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
        }
        finally
        {
            // Not to keep segments alive from the pool.
            ArrayPool<Record>.Shared.Return(page, clearArray: true);
        }
    }

    // The order of the keys is derived, and what a compaction does not see is lost for good. So the hash index has the last word.
    private void WriteMissed(ShownRecords shown, long throughRevision, Record[] page, KvMutationHandler write, CancellationToken cancellationToken)
    {
        var missed = 0;
        var place = default(HashIndexCursor);
        int count;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            count = store.FindOthers(shown, throughRevision, ref place, page.AsSpan(0, PageEntries));
            foreach (var record in page.AsSpan(0, count))
            {
                write(record.ToMutation(record.Revision));
                missed += store.IsListed(record) ? 0 : 1;
            }
        }
        while (!place.IsEnd);
        if (missed > 0)
        {
            // Those are in the hash index and not in the order. What the cleaner has moved meanwhile is in both.
            store.Ordered.Drop();
        }
    }

    private void CompleteIntakes()
    {
        foreach (var intake in _intakes.Values)
        {
            intake.Complete();
        }
    }
}
