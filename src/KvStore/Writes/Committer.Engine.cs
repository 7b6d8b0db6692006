using System.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Writes;

/// <content>
/// Writes of a namespace whose engine decides and orders them. A write is sent while <see cref="CallOrder"/> is locked, so that the engine
/// gets the writes of a key in the order of the calls. It is published when the engine has committed it, with the revision that the
/// engine gave. Conditions are checked by the engine, never against the replica.
/// </content>
internal sealed partial class Committer
{
    private readonly CommitEpochs _epochs = new();

    /// <summary>The commits at the engine that are not published yet.</summary>
    public CommitEpochs Epochs => _epochs;

    private ValueTask WithoutResultAsync(SentWrite sent) => SentWrite.WithoutRevisionAsync(CommitAtEngineAsync(sent, check: null));

    private async ValueTask<long> CommitAtEngineAsync(SentWrite sent, ConditionCheck? check)
    {
        var outcome = await CompleteAsync(sent).ConfigureAwait(false);
        check?.NoteOutcome(outcome);
        return outcome.IsMade ? outcome.Revision : 0;
    }

    private async ValueTask<KvWriteResult> TryCommitAtEngineAsync(SentWrite sent)
    {
        var outcome = await CompleteAsync(sent).ConfigureAwait(false);
        if (!outcome.Holds)
        {
            Interlocked.Increment(ref _conditionFailures);
        }

        return new KvWriteResult(outcome.Holds, outcome.IsMade ? outcome.Revision : outcome.StandingRevision);
    }

    private async ValueTask<KvWriteResult> TouchAtEngineAsync(SentWrite sent)
    {
        var outcome = await CompleteAsync(sent).ConfigureAwait(false);
        return outcome.IsMade ? new KvWriteResult(true, outcome.Revision)
            : outcome.StandingRevision != 0 ? RefusedTouch(outcome.StandingRevision)
            : default;
    }

    private async ValueTask<KvWriteResult?> FindRefusalAtEngineAsync(byte[] key, KvCondition condition, CancellationToken cancellationToken)
    {
        ThrowIfClosed();
        var write = SentWrite.Describe(KvEngineOperation.Check, new KvMutation { Key = key }, condition, group: null);
        var outcome = await engine!.CommitAsync(write, cancellationToken).ConfigureAwait(false);
        return outcome.Holds ? null : new KvWriteResult(false, outcome.StandingRevision);
    }

    private SentWrite Send<TKey>(
        KvEngineOperation operation, in TKey key, in RecordDraft draft, Deadline deadline, KvCondition? condition, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        lock (calls.Lock)
        {
            return SendHoldingLock(operation, key, draft, deadline, condition, call: null, group: null, cancellationToken);
        }
    }

    // Owns the draft from the call on.
    private SentWrite SendHoldingLock<TKey>(
        KvEngineOperation operation, in TKey key, in RecordDraft draft, Deadline deadline, KvCondition? condition, PendingCall? call, KvEngineGroup? group, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread && engine is not null);
        try
        {
            ThrowIfClosed();
            if (operation != KvEngineOperation.Touch)
            {
                CheckHoldingLock(key, draft);
            }

            admission?.Reserve();
            var own = new byte[key.Utf8Bytes];
            key.CopyTo(own);
            var mutation = draft.IsNone
                ? new KvMutation { Key = own, IsDelete = operation == KvEngineOperation.Delete, DeadlineSeconds = deadline.Seconds, DeadlineRounding = deadline.Rounding }
                : draft.Record.ToMutation(revision: 0);
            var overtaking = condition is null && !calls.IsEmpty ? calls.PrepareOvertaking(key, call) : null;
            var sent = new SentWrite(operation, own, key.Hash, draft, deadline, overtaking, _epochs.Begin());
            try
            {
                sent.Outcome = engine.CommitAsync(SentWrite.Describe(operation, mutation, condition, group), cancellationToken).AsTask();
            }
            catch
            {
                _epochs.End(sent.Epoch);
                throw;
            }

            NoteOvertakingHoldingLock(key, call, overtaking);
            return sent;
        }
        catch
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            throw;
        }
    }

    private async ValueTask<KvEngineOutcome> CompleteAsync(SentWrite sent)
    {
        var isPublished = false;
        var isMade = false;
        try
        {
            var outcome = await sent.Outcome.ConfigureAwait(false);
            isMade = outcome.Holds;
            if (outcome.IsMade)
            {
                Publish(sent, outcome, ref isPublished);
            }

            return outcome;
        }
        catch (KvPersistenceException e)
        {
            throw NamedFailure.WithNames(e, sent.Operation.ToString().ToUpperInvariant(), name, new Utf8Key(sent.Key, sent.Hash));
        }
        finally
        {
            _publisher.AbandonUnless(isPublished, sent.Draft);
            _epochs.End(sent.Epoch);
            sent.Overtaking?.Complete(isMade);
        }
    }

    private void Publish(SentWrite sent, in KvEngineOutcome outcome, ref bool isPublished)
    {
        var key = new Utf8Key(sent.Key, sent.Hash);
        var draft = sent.Draft;
        if (sent.Operation == KvEngineOperation.Delete)
        {
            draft = store.DraftTombstone(key);
        }
        else if (sent.Operation == KvEngineOperation.Touch)
        {
            if (!store.TryFind(key, out var record) || record.Revision != outcome.TouchedRevision)
            {
                // The engine has passed the entry to the host, or a newer mutation has arrived.
                return;
            }

            draft = store.DraftTouched(record, sent.Deadline);
        }

        var revision = outcome.Revision;
        var isOwned = false;
        try
        {
            _publisher.Publish(key, draft, ref revision, replicated: null, ref isOwned);
        }
        finally
        {
            isPublished = isOwned;
            if (sent.Draft.IsNone)
            {
                _publisher.AbandonUnless(isOwned, draft);
            }
        }
    }

    private async ValueTask<long> CommitInTurnAtEngineAsync(PendingCall call, RecordDraft draft, ConditionCheck? check)
    {
        while (true)
        {
            Overtaking? overtaking;
            SentWrite? sent = null;
            lock (calls.Lock)
            {
                overtaking = call.OvertakenBy;
                if (overtaking is null)
                {
                    sent = SendHoldingLock(
                        SentWrite.OperationOf(draft), new Utf8Key(call.Key, call.Hash), draft, deadline: default, condition: null, call, group: null, CancellationToken.None);
                }
            }

            if (sent is not null)
            {
                return await CommitAtEngineAsync(sent, check).ConfigureAwait(false);
            }

            if (await overtaking!.Outcome.ConfigureAwait(false))
            {
                _publisher.AbandonUnless(isPublished: false, draft);
                return 0;
            }

            lock (calls.Lock)
            {
                call.OvertakenBy = call.OvertakenBy == overtaking ? null : call.OvertakenBy;
            }
        }
    }

    private void CommitGroupAtEngine(WriteGroup group)
    {
        var items = group.Items;
        var engineGroup = group.AtEngine ?? new KvEngineGroup();
        var sent = new SentGroup(items.Length);
        group.ReserveWaiting(items.Length);
        try
        {
            lock (calls.Lock)
            {
                admission?.BeginMany();
                try
                {
                    for (; group.Committed < items.Length; group.Committed++)
                    {
                        ref readonly var item = ref items[group.Committed];
                        if (item.Call?.OvertakenBy is null)
                        {
                            sent.Add(group.Committed, SendHoldingLock(
                                SentWrite.OperationOf(item.Draft), new Utf8Key(item.Utf8Key, item.Hash), item.Draft, deadline: default, item.Check?.Condition, item.Call, engineGroup, CancellationToken.None), item.Check);
                        }
                    }
                }
                finally
                {
                    admission?.EndMany();
                }
            }
        }
        finally
        {
            // Also when a later one failed: what was sent is published when the engine has committed it.
            sent.Begin(CompleteGroupAsync);
            for (var i = 0; i < group.Committed; i++)
            {
                ref readonly var item = ref items[i];
                group.AddWaiting(item.Entry, sent.Contains(i)
                    ? sent.WhenDone(i)
                    : SentWrite.WithoutRevisionAsync(CommitInTurnAtEngineAsync(item.Call!, item.Draft, item.Check)));
            }
        }
    }

    // One after the other, in their order, so that nothing is allocated for each.
    private async Task CompleteGroupAsync(SentGroup group)
    {
        await group.WhenLastIsDecided().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        for (var i = 0; i < group.Count; i++)
        {
            if (!group.Contains(i))
            {
                continue;
            }

            try
            {
                group.Note(i, await CompleteAsync(group[i]).ConfigureAwait(false));
            }
            catch (Exception e)
            {
                group.Note(i, e);
            }
        }
    }
}
