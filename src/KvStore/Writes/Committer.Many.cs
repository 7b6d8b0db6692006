using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Keys;

namespace KvStore.Writes;

/// <content>Many mutations of one call.</content>
internal sealed partial class Committer
{
    // So many are decided while the lock is held; then others have it.
    private const int DecidedAtOnce = 128;

    /// <summary>Whether mutations are published where they are decided, and in most cases take no lock but that of the shard.</summary>
    public bool IsDirect => _isDirect;

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

        if (_isDirect && calls.IsEmpty && items[0].Replicated is null && !store.ExpectsLate)
        {
            for (; group.Committed < items.Length; group.Committed++)
            {
                ref readonly var item = ref items[group.Committed];
                CommitDirectly(new Utf8Key(item.Utf8Key, item.Hash), item.Draft);
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
                        ref readonly var item = ref items[decided];
                        ref var decision = ref decisions[decided];
                        decision.IsOvertaken = item.Call?.OvertakenBy is not null;
                        if (!decision.IsOvertaken)
                        {
                            decision.Pending = CommitHoldingLock(
                                new Utf8Key(item.Utf8Key, item.Hash), item.Draft, item.Replicated, item.Call, out decision.Append, out _);
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
            if (decisions[i].IsOvertaken)
            {
                group.AddWaiting(items[i].Entry, WaitInTurnAsync(items[i]));
            }
        }
    }

    private async ValueTask WaitInTurnAsync(WriteGroup.Item item) =>
        await CommitInTurnAsync(item.Call!, item.Draft, item.Replicated).ConfigureAwait(false);

    private struct Decision
    {
        public bool IsOvertaken;
        public PendingPublication? Pending;
        public ValueTask Append;
    }

    [InlineArray(DecidedAtOnce)]
    private struct Decisions
    {
        private Decision _first;
    }
}
