using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>The mutations in flight: appended, and not durable yet. Each is published or abandoned when its append completes.</summary>
/// <remarks>Thread safety: all members, from any thread; <see cref="Rent"/> and <see cref="Begin"/> only while holding the lock of <see cref="CallOrder"/>.</remarks>
internal sealed class PendingPublications(string name, ShardedStore store, CallOrder calls, WriteAdmission? admission)
{
    private const int PooledMax = 4096;
    private const int TombstonesMin = 1024;

    private readonly SettledRevisions _settled = new();
    private readonly Publisher _publisher = new(store);
    private readonly Lock _poolLock = new();
    private PendingPublication? _firstPooled;
    private int _pooledCount;
    private int _isForgetting;
    private int _touchCount;
    private long _lateTouchCount;

    /// <summary>The keys of the mutations in flight, and the writes that wait for them.</summary>
    public KeyQueues Queues { get; } = new(calls.Lock);

    /// <summary>Whether no mutation is in flight, so that none can follow a newer one.</summary>
    public bool IsIdle => _settled.IsIdle;

    /// <summary>Whether a touch is in flight.</summary>
    public bool HasTouches => Volatile.Read(ref _touchCount) > 0;

    /// <summary>
    /// How many touches were published when the entry that they touch had expired by its own deadline: for a moment, while the touch was
    /// in flight, the entry was not to be seen.
    /// </summary>
    public long LateTouches => Volatile.Read(ref _lateTouchCount);

    /// <summary>Takes everything that a mutation needs besides its record, before it is appended, because after the append nothing may fail.</summary>
    /// <returns>What publishes the mutation: <see cref="Begin"/> or <see cref="Return"/> it.</returns>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public PendingPublication Rent(ulong hash)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        admission?.Reserve();
        Queues.Reserve();
        store.ReserveIndex(hash, (int)_settled.Reserve() + 1);
        lock (_poolLock)
        {
            if (_firstPooled is { } pending)
            {
                _firstPooled = pending.Next;
                _pooledCount--;
                pending.Next = null;
                pending.Hash = hash;
                return pending;
            }
        }

        AllocationProbe.Before();
        return new PendingPublication(this) { Hash = hash };
    }

    /// <summary>A mutation is in flight. Call <see cref="PendingPublication.RunAsync"/> next, without the lock. Allocates nothing.</summary>
    public void Begin(PendingPublication pending, in RecordDraft draft, long revision, ReplicatedWrite? replicated, Overtaking? overtaking, Record touched)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        if (!touched.IsNone)
        {
            Interlocked.Increment(ref _touchCount);
        }

        pending.Prepare(draft, revision, _settled.Begin(revision), replicated, overtaking, touched);
        Queues.Begin(pending);
        admission?.Begin(pending);
    }

    /// <summary>Takes an object back for the next mutation.</summary>
    public void Return(PendingPublication pending)
    {
        Debug.Assert(pending.Draft.IsNone, "A mutation in flight keeps its object.");
        lock (_poolLock)
        {
            if (_pooledCount < PooledMax)
            {
                pending.Next = _firstPooled;
                _firstPooled = pending;
                _pooledCount++;
            }
        }
    }

    /// <summary>The exception that the caller of a mutation gets. Requires: the mutation was not given up.</summary>
    public Exception Named(PendingPublication pending, Exception failure) => NamedFailure.WithNames(
        failure, pending.IsDelete ? "DELETE" : pending.Touched.IsNone ? "PUT" : "TOUCH", name, new Utf8Key(pending.Draft.Record.Key));

    /// <summary>Publishes a mutation whose append has completed, or gives it up. Called once for each that is in flight.</summary>
    public void Finish(PendingPublication pending, Exception? failure)
    {
        var isPublished = false;
        try
        {
            if (admission is null)
            {
                PublishUnlessFailed(pending, failure, ref isPublished);
            }
            else
            {
                lock (calls.Lock)
                {
                    // In one step, so that the mutation counts once: as one in flight, or as one that is visible.
                    admission.End(pending);
                    PublishUnlessFailed(pending, failure, ref isPublished);
                }
            }
        }
        finally
        {
            // Whether the log has a mutation that failed is not known. The provider removes its large value when that is safe.
            _publisher.AbandonUnless(isPublished, pending.Draft);
            EndTouch(pending.Touched);
            _settled.Settle(pending.Place);
            Queues.End(pending);
            pending.Overtaking?.Complete(isMade: isPublished);
        }

        if (pending.IsDelete && isPublished)
        {
            ForgetTombstones();
        }
    }

    /// <summary>Completes when every mutation up to a revision that was appended is visible, or has failed.</summary>
    public Task WhenSettledAsync(long throughRevision)
    {
        lock (calls.Lock)
        {
            // Every mutation that was appended before is in flight now.
        }

        return _settled.WhenSettledAsync(throughRevision);
    }

    /// <summary>
    /// Forgets the tombstones that no older mutation can follow any more, neither one in flight nor one from elsewhere. Only when
    /// they are a good part of the tables, which are walked as a whole.
    /// </summary>
    public void ForgetTombstones()
    {
        var tombstones = store.TombstoneCount;
        if (tombstones <= TombstonesMin || tombstones <= store.Count / 8 || Interlocked.Exchange(ref _isForgetting, 1) != 0)
        {
            return;
        }

        try
        {
            long through;
            lock (calls.Lock)
            {
                // Here every revision that was taken for an append is in flight or settled.
                through = Math.Min(Math.Min(store.Revision, store.ArrivedThrough), _settled.Oldest() - 1);
            }

            store.ForgetTombstones(through);
        }
        finally
        {
            Volatile.Write(ref _isForgetting, 0);
        }
    }

    // After the publication, so that no moment at which the entry could not be seen comes later.
    private void EndTouch(Record touched)
    {
        if (!touched.IsNone)
        {
            if (store.HasPassed(touched.Deadline))
            {
                Interlocked.Increment(ref _lateTouchCount);
            }

            Interlocked.Decrement(ref _touchCount);
        }
    }

    private void PublishUnlessFailed(PendingPublication pending, Exception? failure, ref bool isPublished)
    {
        if (failure is null)
        {
            var revision = pending.Revision;
            _publisher.Publish(new Utf8Key(pending.Draft.Record.Key), pending.Draft, ref revision, pending.Replicated, ref isPublished);
        }
    }
}
