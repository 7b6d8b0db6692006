using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>
/// Commits mutations: checks each, puts it in order, appends it to the persistence provider where there is one, and publishes it when
/// it is durable. In memory alone there is no append to wait for; everything else is the same.
/// </summary>
/// <remarks>
/// <para>A mutation is a draft: a record to put, or none to delete a key. It is decided in one step, under the lock of
/// <see cref="CallOrder"/> (<see cref="CommitHoldingLock"/>): everything that may refuse it is checked, the revision is taken, and the
/// mutation is appended. So the order of the revisions is the order of the log. What the provider takes at once is published in the
/// same step. What has to wait is published when its append completes, in whatever order that happens: the highest revision of a key
/// wins.</para>
/// <para>In memory alone, without limits, replication and pending calls, no lock is taken: the lock of the shard orders the
/// mutations of a key.</para>
/// <para>A mutation has all of its memory before it is appended: its record, its place among the mutations in flight, the object
/// that publishes it, and room in the index. After the append nothing can fail but the append.</para>
/// <para>A delete needs no tombstone when no older mutation can follow it.</para>
/// <para>A delete of a key that the store does not know is not appended, unless entries were forgotten because they had expired:
/// the provider may still have the put, and a clock that is set back would show it again.</para>
/// <para>A mutation that loses because of a wrong clock, against one that its region has not received, is not appended: it
/// is never the newest, and what is recovered is the winner.</para>
/// <para>A conditional write is checked in the same step (<see cref="ConditionCheck"/>). It waits until no mutation of its key is in
/// flight, and later writes of the key wait behind it (<see cref="KeyQueues"/>). A write whose condition does not hold is not appended.
/// Conditional writes are ordered by their commits: they overtake no pending call, and are not overtaken.</para>
/// <para>A draft belongs to this class from the call on: it is published, or abandoned together with its large value.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed partial class Committer(
    string name, ShardedStore store, IKvPersistence? persistence, IKvEngine? engine, CallOrder calls, WriteAdmission? admission)
{
    private readonly bool _isDirect = persistence is null && engine is null && admission is null;
    private readonly PendingPublications _inFlight = new(name, store, calls, admission);
    private readonly Publisher _publisher = new(store);
    private volatile bool _isClosed;
    private bool _hasRecoveredDeletes;

    /// <summary>Recovery is over, and mutations are taken.</summary>
    /// <param name="hasRecoveredDeletes">Whether the provider may have shown, as a delete, a put that had expired when it was opened.</param>
    public void Open(bool hasRecoveredDeletes) => _hasRecoveredDeletes = hasRecoveredDeletes;

    /// <summary>
    /// Commits a mutation that is decided in the call, unless a conditional write of its key waits. It is ordered when this method
    /// returns, and visible when the task completes.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The record, or none to delete the key.</param>
    /// <param name="replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="revision">The revision of the mutation; 0 when nothing had to be changed, or it is not decided yet.</param>
    public ValueTask CommitAsync<TKey>(in TKey key, in RecordDraft draft, ReplicatedWrite? replicated, out long revision)
        where TKey : struct, IKey, allows ref struct
    {
        if (engine is not null)
        {
            revision = 0;
            return WithoutResultAsync(Send(SentWrite.OperationOf(draft), key, draft, deadline: default, condition: null, CancellationToken.None));
        }

        if (_isDirect && replicated is null && calls.IsEmpty && !(draft.IsNone && store.ExpectsLate))
        {
            revision = CommitDirectly(key, draft);
            return default;
        }

        PendingPublication? pending;
        ValueTask append;
        PendingCall? queued = null;
        lock (calls.Lock)
        {
            if (!_inFlight.Queues.MustWait(key.Hash, isConditional: false))
            {
                pending = CommitHoldingLock(key, draft, replicated, call: null, check: null, out append, out revision);
            }
            else
            {
                queued = BeginQueuedHoldingLock(key, draft);
                (pending, append, revision) = (null, default, 0);
            }
        }

        return queued is null ? EndAsync(pending, append, isDelete: draft.IsNone) : CommitQueuedAsync(queued, draft, replicated);
    }

    /// <summary>Completes when every mutation up to a revision that was appended is visible, or has failed.</summary>
    public Task WhenSettledAsync(long throughRevision) => _inFlight.WhenSettledAsync(throughRevision);

    /// <summary>Every mutation from elsewhere up to a revision has arrived: see <see cref="ShardedStore.ExpectLate"/>.</summary>
    public void ExpectLate(long arrivedThrough)
    {
        store.ExpectLate(arrivedThrough);
        _inFlight.ForgetTombstones();
    }

    /// <summary>Takes no more mutations. Those that were taken go on.</summary>
    public void Close()
    {
        lock (calls.Lock)
        {
            _isClosed = true;
        }
    }

    private long CommitDirectly<TKey>(in TKey key, in RecordDraft draft, ConditionCheck? check = null)
        where TKey : struct, IKey, allows ref struct
    {
        var revision = 0L;
        var isPublished = false;
        try
        {
            ThrowIfClosed();
            _publisher.Publish(key, draft, ref revision, replicated: null, ref isPublished, check);
            return revision;
        }
        catch
        {
            _publisher.AbandonUnless(isPublished, draft);
            throw;
        }
    }

    /// <summary>The step in which a mutation is decided.</summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The record, or none to delete the key.</param>
    /// <param name="replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="call">The mutation in the order of the calls, where it was not decided in its call; it was not overtaken.</param>
    /// <param name="check">The condition of the mutation; null where there is none.</param>
    /// <param name="append">The append that the mutation waits for.</param>
    /// <param name="revision">The revision of the mutation; 0 when nothing had to be changed.</param>
    /// <param name="touched">The record whose entry gets a new time to live, when that is all that the mutation changes.</param>
    /// <returns>What publishes the mutation when the append completes; null when it is visible already.</returns>
    private PendingPublication? CommitHoldingLock<TKey>(
        in TKey key, RecordDraft draft, ReplicatedWrite? replicated, PendingCall? call, ConditionCheck? check, out ValueTask append, out long revision, Record touched = default)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        Debug.Assert(call?.OvertakenBy is null, "A mutation that was overtaken is not made.");
        Debug.Assert(check is null || !_inFlight.Queues.IsInFlight(key.Hash), "A condition is not checked while an outcome is unknown.");
        append = default;
        revision = 0;
        PendingPublication? pending = null;
        var isPublished = false;
        var isDelete = draft.IsNone;
        try
        {
            ThrowIfClosed();
            if (check?.IsMadeBy(key, isDelete) == false)
            {
                _publisher.AbandonUnless(isPublished, draft);
                return null;
            }

            CheckHoldingLock(key, draft);
            var needsTombstone = isDelete && (store.ExpectsLate || !_inFlight.IsIdle);
            if (isDelete && !needsTombstone && IsWithoutEffect(key, replicated))
            {
                NoteMadeHoldingLock(key, call, check);
                return null;
            }

            var isConditional = check?.IsConditional == true;
            if (isConditional)
            {
                replicated?.Win();
            }

            if (persistence is null || (!isConditional && replicated?.Decide(key) == false))
            {
                // In memory alone, or a mutation that loses: never the newest, so it needs no log.
                admission?.Reserve();
                draft = isDelete && store.ExpectsLate ? store.DraftTombstone(key) : draft;
            }
            else
            {
                draft = isDelete ? store.DraftTombstone(key) : draft;
                var overtaking = isConditional ? null : calls.PrepareOvertaking(key, call);
                pending = _inFlight.Rent(key.Hash);
                revision = store.TakeRevision();
                append = persistence.AppendAsync(draft.Record.ToMutation(revision, touched.IsNone ? 0 : touched.Revision));
                if (!append.IsCompleted)
                {
                    _inFlight.Begin(pending, draft, revision, replicated, overtaking, touched);
                    NoteOvertakingHoldingLock(key, call, overtaking);
                    return pending;
                }

                append.GetAwaiter().GetResult();
                if (isDelete && !needsTombstone)
                {
                    store.Abandon(draft);
                    draft = default;
                }
            }

            // In memory alone the condition is checked again, under the lock of the shard. What was appended must be published.
            _publisher.Publish(key, draft, ref revision, replicated, ref isPublished, persistence is null ? check : null);
            if (check?.IsMade != false)
            {
                NoteMadeHoldingLock(key, call, check);
            }
        }
        catch (KvPersistenceException e)
        {
            _publisher.AbandonUnless(isPublished, draft);
            throw NamedFailure.WithNames(e, isDelete ? "DELETE" : touched.IsNone ? "PUT" : "TOUCH", name, key);
        }
        catch
        {
            _publisher.AbandonUnless(isPublished, draft);
            throw;
        }
        finally
        {
            ReturnUnlessInFlight(pending);
        }

        return null;
    }

    // Everything that may refuse a mutation at the moment when it is decided. Changes nothing.
    private void CheckHoldingLock<TKey>(in TKey key, in RecordDraft draft)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        if (draft.IsNone)
        {
            admission?.CheckDelete(key);
        }
        else
        {
            admission?.CheckPut(key, draft.Record.LiveBytes);
        }
    }

    // Whether a delete changes nothing, here or at the provider. The index is asked before the flag: the store sets the flag before
    // it removes an expired entry.
    private bool IsWithoutEffect<TKey>(in TKey key, ReplicatedWrite? replicated)
        where TKey : struct, IKey, allows ref struct =>
        persistence is not null && !store.Knows(key) && !_hasRecoveredDeletes && !store.HasRemovedExpired && !store.HasEvicted && replicated?.IsPending(key) != true;

    private void NoteMadeHoldingLock<TKey>(in TKey key, PendingCall? call, ConditionCheck? check)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        NoteOvertakingHoldingLock(key, call, calls.IsEmpty || check?.IsConditional == true ? null : Overtaking.Made);
    }

    private void NoteOvertakingHoldingLock<TKey>(in TKey key, PendingCall? call, Overtaking? overtaking)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        admission?.NoteWrite(key);
        if (overtaking is not null)
        {
            calls.Overtake(key, call, overtaking);
        }
    }

    private void ReturnUnlessInFlight(PendingPublication? pending)
    {
        if (pending is { Draft.IsNone: true })
        {
            _inFlight.Return(pending);
        }
    }

    // Without the lock: the code of the caller may run here.
    private ValueTask EndAsync(PendingPublication? pending, ValueTask append, bool isDelete)
    {
        Debug.Assert(!calls.Lock.IsHeldByCurrentThread);
        if (pending is not null)
        {
            return pending.RunAsync(append);
        }

        if (isDelete)
        {
            _inFlight.ForgetTombstones();
        }

        return default;
    }

    private void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }
    }
}
