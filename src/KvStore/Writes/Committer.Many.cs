using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Keys;
using KvStore.Segments;

namespace KvStore.Writes;

/// <content>Many mutations of one call.</content>
internal sealed partial class Committer
{
    // So many are decided while the lock is held; then others have it.
    private const int DecidedAtOnce = 128;

    /// <summary>Whether mutations are published where they are decided, and in most cases take no lock but that of the shard.</summary>
    public bool IsDirect => _isDirect;

    /// <summary>Publishes drafts in memory alone, up to the first one that fails. Those that are not published are not abandoned.</summary>
    /// <returns>How many were published; none while a call is pending.</returns>
    public int PublishDirectly(ReadOnlySpan<RecordDraft> drafts, ReadOnlySpan<ulong> hashes)
    {
        Debug.Assert(_isDirect);
        var published = 0;
        if (calls.IsEmpty && !_isClosed)
        {
            try
            {
                for (; published < drafts.Length; published++)
                {
                    store.Publish(new Utf8Key(drafts[published].Record.Key, hashes[published]), drafts[published]);
                }
            }
            catch (Exception)
            {
                // It fails again, or it does not, where its failure is reported.
            }
        }

        return published;
    }

    /// <summary>
    /// Commits a group in its order, and has the provider write it together. Other mutations may come in between. What waits is added to
    /// <see cref="WriteGroup.Waiting"/>. When one fails, those after it are neither committed nor abandoned.
    /// </summary>
    public void CommitGroup(WriteGroup group)
    {
        var items = group.Items;
        if (items.IsEmpty)
        {
            return;
        }

        if (engine is not null)
        {
            CommitGroupAtEngine(group);
            return;
        }

        if (_isDirect && calls.IsEmpty && items[0].Replicated is null && !store.ExpectsLate)
        {
            for (; group.Committed < items.Length; group.Committed++)
            {
                ref readonly var item = ref items[group.Committed];
                CommitDirectly(new Utf8Key(item.Utf8Key, item.Hash), item.Draft, item.Check);
            }

            return;
        }

        using var ending = persistence?.BeginGroup();
        while (group.Committed < items.Length)
        {
            CommitSlice(group, items.Slice(group.Committed, Math.Min(DecidedAtOnce, items.Length - group.Committed)));
        }
    }

    private void CommitSlice(WriteGroup group, ReadOnlySpan<WriteGroup.Item> items)
    {
        group.ReserveWaiting(items.Length);
        var decisions = default(Decisions);
        var decided = 0;
        try
        {
            lock (calls.Lock)
            {
                admission?.BeginMany();
                try
                {
                    for (; decided < items.Length; decided++)
                    {
                        DecideHoldingLock(items[decided], ref decisions[decided]);
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
            // Also when a later one failed: what was appended is published when its append completes.
            for (var i = 0; i < decided; i++)
            {
                if (decisions[i].Pending is { } pending)
                {
                    group.AddWaiting(items[i].Entry, pending.RunAsync(decisions[i].Append));
                }
            }

            group.Committed += decided;
        }

        for (var i = 0; i < items.Length; i++)
        {
            if (decisions[i].Waits)
            {
                group.AddWaiting(items[i].Entry, CommitLaterAsync(items[i], decisions[i].Call, decisions[i].Queued));
            }
        }

        _inFlight.ForgetTombstones();
    }

    private void DecideHoldingLock(in WriteGroup.Item item, ref Decision decision)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        var key = new Utf8Key(item.Utf8Key, item.Hash);
        decision.Waits = item.Call?.OvertakenBy is not null || _inFlight.Queues.MustWait(item.Hash, isConditional: item.Check is not null);
        if (!decision.Waits)
        {
            decision.Pending = CommitHoldingLock(key, item.Draft, item.Replicated, item.Call, item.Check, out decision.Append, out _);
            return;
        }

        // What does not depend on the entry that the key has keeps its place in the order of the calls.
        decision.Queued = item.Check is not null ? EnterHoldingLock(item.Hash, isConditional: true, item.Draft) : null;
        try
        {
            decision.Call = item.Call is null && item.Check?.IsConditional != true ? BeginQueuedHoldingLock(key, item.Draft) : null;
        }
        catch
        {
            Leave(ref decision.Queued);
            throw;
        }
    }

    // A mutation that could not be decided with the others of its group.
    private async ValueTask CommitLaterAsync(WriteGroup.Item item, PendingCall? own, QueuedWrite? queued)
    {
        try
        {
            if (item.Check is not { } check)
            {
                await CommitInTurnAsync(own ?? item.Call!, item.Draft, item.Replicated).ConfigureAwait(false);
                return;
            }

            await queued!.WhenSet.ConfigureAwait(false);
            PendingPublication? pending;
            ValueTask append;
            lock (calls.Lock)
            {
                pending = CommitHoldingLock(
                    new Utf8Key(item.Key, item.Hash), item.Draft, item.Replicated, own ?? item.Call, check, out append, out _);
            }

            Leave(ref queued);
            await EndAsync(pending, append, isDelete: true).ConfigureAwait(false);
        }
        finally
        {
            Leave(ref queued);
            if (own is not null)
            {
                calls.End(own);
            }
        }
    }

    private struct Decision
    {
        public bool Waits;
        public PendingCall? Call;
        public QueuedWrite? Queued;
        public PendingPublication? Pending;
        public ValueTask Append;
    }

    [InlineArray(DecidedAtOnce)]
    private struct Decisions
    {
        private Decision _first;
    }
}
