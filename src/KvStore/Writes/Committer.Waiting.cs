using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Segments;

namespace KvStore.Writes;

/// <content>
/// Mutations that are not decided in their calls: a put whose value takes time to read, and any mutation of a key for which a conditional
/// write waits.
/// </content>
internal sealed partial class Committer
{
    /// <summary>
    /// Commits a mutation that could not be decided in its call. A mutation that was overtaken meanwhile is not made: it completes with
    /// the mutation that overtook it, or is made when that one fails.
    /// </summary>
    /// <returns>The revision of the mutation; 0 when it was overtaken, or nothing had to be changed.</returns>
    public async ValueTask<long> CommitInTurnAsync(PendingCall call, RecordDraft draft, ReplicatedWrite? replicated)
    {
        if (engine is not null)
        {
            return await CommitInTurnAtEngineAsync(call, draft, check: null).ConfigureAwait(false);
        }

        QueuedWrite? queued = null;
        try
        {
            while (true)
            {
                Overtaking? overtaking;
                PendingPublication? pending = null;
                ValueTask append = default;
                var revision = 0L;
                var isDecided = false;
                lock (calls.Lock)
                {
                    overtaking = call.OvertakenBy;
                    if (overtaking is null && queued is null && _inFlight.Queues.MustWait(call.Hash, isConditional: false))
                    {
                        queued = EnterHoldingLock(call.Hash, isConditional: false, draft);
                    }
                    else if (overtaking is null)
                    {
                        isDecided = true;
                        pending = CommitHoldingLock(new Utf8Key(call.Key, call.Hash), draft, replicated, call, check: null, out append, out revision);
                    }
                }

                if (queued is not null && !isDecided && overtaking is null)
                {
                    await queued.WhenSet.ConfigureAwait(false);
                    continue;
                }

                Leave(ref queued);
                if (isDecided)
                {
                    await EndAsync(pending, append, isDelete: draft.IsNone).ConfigureAwait(false);
                    return revision;
                }

                if (await overtaking!.Outcome.ConfigureAwait(false))
                {
                    Lose(call, draft, replicated);
                    return 0;
                }

                lock (calls.Lock)
                {
                    call.OvertakenBy = call.OvertakenBy == overtaking ? null : call.OvertakenBy;
                }
            }
        }
        finally
        {
            Leave(ref queued);
        }
    }

    private async ValueTask CommitQueuedAsync(PendingCall call, RecordDraft draft, ReplicatedWrite? replicated)
    {
        try
        {
            await CommitInTurnAsync(call, draft, replicated).ConfigureAwait(false);
        }
        finally
        {
            calls.End(call);
        }
    }

    // The write keeps its place in the order of the calls while it waits.
    private PendingCall BeginQueuedHoldingLock<TKey>(in TKey key, in RecordDraft draft)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        var own = KeyOf(key, draft);
        try
        {
            return calls.Begin(own);
        }
        catch
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            throw;
        }
    }

    private QueuedWrite EnterHoldingLock(ulong hash, bool isConditional, in RecordDraft draft)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        try
        {
            return _inFlight.Queues.Enter(hash, isConditional);
        }
        catch
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            throw;
        }
    }

    private void Leave(ref QueuedWrite? queued)
    {
        if (queued is not null)
        {
            _inFlight.Queues.Leave(queued);
            queued = null;
        }
    }

    private byte[] KeyOf<TKey>(in TKey key, in RecordDraft draft)
        where TKey : struct, IKey, allows ref struct
    {
        try
        {
            AllocationProbe.Before();
            var own = new byte[key.Utf8Bytes];
            key.CopyTo(own);
            return own;
        }
        catch
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            throw;
        }
    }

    // A mutation counts as made before the one that overtook it: a region that has not received the later one sees the earlier one.
    private void Lose(PendingCall call, in RecordDraft draft, ReplicatedWrite? replicated)
    {
        if (replicated is null)
        {
            _publisher.AbandonUnless(isPublished: false, draft);
            return;
        }

        replicated.Lose();
        var revision = 0L;
        var isPublished = false;
        try
        {
            _publisher.Publish(new Utf8Key(call.Key, call.Hash), draft, ref revision, replicated, ref isPublished);
        }
        catch
        {
            _publisher.AbandonUnless(isPublished, draft);
            throw;
        }
    }
}
