using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Segments;

namespace KvStore.Writes;

/// <content>
/// Conditional writes, and touches, which are conditional on the entry that they found. In memory alone such a write is decided when it is
/// published, under the lock of the shard. Otherwise it is decided as every mutation is, once no mutation of its key is in flight.
/// </content>
internal sealed partial class Committer
{
    private long _conditionFailures;

    /// <summary>How many writes were not made because their conditions did not hold.</summary>
    public long ConditionFailures => Volatile.Read(ref _conditionFailures);

    /// <summary>Whether a touch is in flight.</summary>
    public bool HasTouchesInFlight => _inFlight.HasTouches;

    /// <summary>See <see cref="PendingPublications.LateTouches"/>.</summary>
    public long LateTouches => _inFlight.LateTouches;

    /// <summary>Commits a mutation if a condition holds at that moment. Completes when the mutation is visible, or the condition does not hold.</summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The record, or none to delete the key.</param>
    /// <param name="replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="condition">What must hold.</param>
    /// <param name="cancellationToken">Ends the wait for mutations of the key that are in flight; nothing is changed then.</param>
    public ValueTask<KvWriteResult> TryCommitAsync<TKey>(
        in TKey key, in RecordDraft draft, ReplicatedWrite? replicated, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        if (engine is not null)
        {
            return TryCommitAtEngineAsync(Send(SentWrite.OperationOf(draft), key, draft, deadline: default, condition, cancellationToken));
        }

        var check = BeginCheck(draft, condition, replicated);
        if (_isDirect && replicated is null && !(draft.IsNone && store.ExpectsLate))
        {
            return new(ResultOf(check, CommitDirectly(key, draft, check)));
        }

        QueuedWrite? queued = null;
        byte[] ownKey = [];
        PendingPublication? pending = null;
        ValueTask append = default;
        var revision = 0L;
        lock (calls.Lock)
        {
            if (_inFlight.Queues.MustWait(key.Hash, isConditional: true))
            {
                ownKey = KeyOf(key, draft);
                queued = EnterHoldingLock(key.Hash, isConditional: true, draft);
            }
            else
            {
                pending = CommitHoldingLock(key, draft, replicated, call: null, check, out append, out revision);
            }
        }

        return queued is not null ? TryCommitQueuedAsync(queued, ownKey, draft, replicated, check, cancellationToken)
            : EndConditionalAsync(pending, append, check, revision, isDelete: draft.IsNone);
    }

    /// <summary>Gives an entry another deadline. Completes when that is visible, or there is no entry.</summary>
    /// <param name="key">The key.</param>
    /// <param name="deadline">The deadline.</param>
    /// <param name="replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="condition">What must hold of the entry.</param>
    /// <param name="cancellationToken">Ends the wait for mutations of the key that are in flight; nothing is changed then.</param>
    /// <returns>Whether the key exists and the condition held. A missing key does not count as a condition that failed.</returns>
    public ValueTask<KvWriteResult> TryTouchAsync<TKey>(
        in TKey key, Deadline deadline, ReplicatedWrite? replicated, KvCondition condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        if (engine is not null)
        {
            return TouchAtEngineAsync(Send(KvEngineOperation.Touch, key, draft: default, deadline, condition, cancellationToken));
        }

        if (_isDirect && replicated is null)
        {
            return new(TouchDirectly(key, deadline, condition));
        }

        QueuedWrite? queued = null;
        byte[] ownKey = [];
        PendingPublication? pending = null;
        ValueTask append = default;
        KvWriteResult result = default;
        lock (calls.Lock)
        {
            if (_inFlight.Queues.MustWait(key.Hash, isConditional: true))
            {
                ownKey = KeyOf(key, draft: default);
                queued = EnterHoldingLock(key.Hash, isConditional: true, draft: default);
            }
            else
            {
                pending = TouchHoldingLock(key, deadline, replicated, condition, out append, out result);
            }
        }

        return queued is not null ? TouchQueuedAsync(queued, ownKey, deadline, replicated, condition, cancellationToken)
            : pending is not null ? pending.RunConditionalAsync(append)
            : new(result);
    }

    /// <summary>
    /// Checks a condition before a write is prepared at some cost: when no mutation of the key is in flight of those that are now.
    /// </summary>
    /// <returns>How the write ends when the condition does not hold; null when it may be made.</returns>
    public async ValueTask<KvWriteResult?> FindRefusalAsync(byte[] key, KvCondition condition, CancellationToken cancellationToken)
    {
        if (engine is not null)
        {
            return await FindRefusalAtEngineAsync(key, condition, cancellationToken).ConfigureAwait(false);
        }

        var hash = KeyHash.OfUtf8(key);
        bool isInFlight;
        long throughRevision;
        lock (calls.Lock)
        {
            ThrowIfClosed();
            isInFlight = _inFlight.Queues.IsInFlight(hash);
            throughRevision = store.Revision;
        }

        if (isInFlight)
        {
            await _inFlight.WhenSettledAsync(throughRevision).WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return IsRefused(new Utf8Key(key, hash), condition, out var refusal) ? refusal : null;
    }

    /// <summary>As <see cref="FindRefusalAsync"/>, unless it would have to wait: then nothing is found.</summary>
    public bool TryFindRefusal<TKey>(in TKey key, KvCondition condition, out KvWriteResult refusal)
        where TKey : struct, IKey, allows ref struct
    {
        refusal = default;
        if (engine is not null)
        {
            return false;
        }

        bool isInFlight;
        lock (calls.Lock)
        {
            ThrowIfClosed();
            isInFlight = _inFlight.Queues.IsInFlight(key.Hash);
        }

        return !isInFlight && IsRefused(key, condition, out refusal);
    }

    // As EndAsync.
    private ValueTask<KvWriteResult> EndConditionalAsync(
        PendingPublication? pending, ValueTask append, ConditionCheck check, long revision, bool isDelete)
    {
        Debug.Assert(!calls.Lock.IsHeldByCurrentThread);
        if (pending is not null)
        {
            return pending.RunConditionalAsync(append);
        }

        if (isDelete)
        {
            _inFlight.ForgetTombstones();
        }

        return new(ResultOf(check, revision));
    }

    private async ValueTask<KvWriteResult> TryCommitQueuedAsync(
        QueuedWrite? queued, byte[] key, RecordDraft draft, ReplicatedWrite? replicated, ConditionCheck check, CancellationToken cancellationToken)
    {
        var isDecided = false;
        try
        {
            await queued!.WhenSet.WaitAsync(cancellationToken).ConfigureAwait(false);
            PendingPublication? pending;
            ValueTask append;
            long revision;
            lock (calls.Lock)
            {
                isDecided = true;
                pending = CommitHoldingLock(new Utf8Key(key, queued.Hash), draft, replicated, call: null, check, out append, out revision);
            }

            Leave(ref queued);
            return await EndConditionalAsync(pending, append, check, revision, isDelete: draft.IsNone).ConfigureAwait(false);
        }
        finally
        {
            Leave(ref queued);
            _publisher.AbandonUnless(isPublished: isDecided, draft);
        }
    }

    // Another writer may change the entry while it is copied; then the condition is checked, and the entry copied, again.
    private KvWriteResult TouchDirectly<TKey>(in TKey key, Deadline deadline, KvCondition condition)
        where TKey : struct, IKey, allows ref struct
    {
        while (store.TryFind(key, out var record))
        {
            if (!condition.HoldsFor(record.Revision))
            {
                return RefusedTouch(record.Revision);
            }

            var draft = store.DraftTouched(record, deadline);
            var check = BeginCheck(draft, KvCondition.Revision(record.Revision), replicated: null);
            var revision = CommitDirectly(key, draft, check);
            if (check.IsMade)
            {
                return check.Result(revision);
            }
        }

        ThrowIfClosed();
        return default;
    }

    private PendingPublication? TouchHoldingLock<TKey>(
        in TKey key, Deadline deadline, ReplicatedWrite? replicated, KvCondition condition, out ValueTask append, out KvWriteResult result)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        append = default;
        result = default;
        ThrowIfClosed();
        if (!store.TryFind(key, out var record))
        {
            return null;
        }

        if (!condition.HoldsFor(record.Revision))
        {
            result = RefusedTouch(record.Revision);
            return null;
        }

        var draft = store.DraftTouched(record, deadline);
        var check = BeginCheck(draft, KvCondition.Revision(record.Revision), replicated);
        var pending = CommitHoldingLock(key, draft, replicated, call: null, check, out append, out var revision, record);
        result = check.Result(revision);
        return pending;
    }

    private async ValueTask<KvWriteResult> TouchQueuedAsync(
        QueuedWrite? queued, byte[] key, Deadline deadline, ReplicatedWrite? replicated, KvCondition condition, CancellationToken cancellationToken)
    {
        try
        {
            await queued!.WhenSet.WaitAsync(cancellationToken).ConfigureAwait(false);
            PendingPublication? pending;
            ValueTask append;
            KvWriteResult result;
            lock (calls.Lock)
            {
                pending = TouchHoldingLock(new Utf8Key(key, queued.Hash), deadline, replicated, condition, out append, out result);
            }

            Leave(ref queued);
            return pending is null ? result : await pending.RunConditionalAsync(append).ConfigureAwait(false);
        }
        finally
        {
            Leave(ref queued);
        }
    }

    private KvWriteResult RefusedTouch(long revision)
    {
        Interlocked.Increment(ref _conditionFailures);
        return new KvWriteResult(false, revision);
    }

    private bool IsRefused<TKey>(in TKey key, KvCondition condition, out KvWriteResult refusal)
        where TKey : struct, IKey, allows ref struct
    {
        var check = new ConditionCheck(condition, store, replicated: null);
        _ = check.IsMadeBy(key, isDelete: false);
        refusal = check.Holds ? default : ResultOf(check, revision: 0);
        return !check.Holds;
    }

    private KvWriteResult ResultOf(ConditionCheck check, long revision)
    {
        if (!check.Holds)
        {
            Interlocked.Increment(ref _conditionFailures);
        }

        return check.Result(revision);
    }

    private ConditionCheck BeginCheck(in RecordDraft draft, KvCondition condition, ReplicatedWrite? replicated)
    {
        try
        {
            AllocationProbe.Before();
            return new ConditionCheck(condition, store, replicated);
        }
        catch
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            throw;
        }
    }
}
