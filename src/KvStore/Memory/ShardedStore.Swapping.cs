using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Keys;

namespace KvStore.Memory;

/// <content>
/// Many changes at one moment. The changed shards get tables beside those that readers have. Then all of the old tables are hidden before
/// the first new one is shown, so a reader who has seen something new sees nothing old afterwards.
/// </content>
/// <remarks>
/// Between the first table that is hidden and the last one that is shown, reads of the changed shards wait. That takes as long as writing
/// the old tables, of 16 to 32 bytes for each entry. Building the tables keeps writers of those shards waiting, and no reader of one key.
/// </remarks>
internal sealed partial class ShardedStore
{
    // Odd while tables are swapped.
    private int _swaps;

    /// <summary>Begins a read of several entries of one state: see <see cref="IsSameState"/>. Waits while tables are swapped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int BeginStateRead()
    {
        var swaps = Volatile.Read(ref _swaps);
        return (swaps & 1) == 0 ? swaps : AwaitSwap();
    }

    /// <summary>Whether everything that was read since <see cref="BeginStateRead"/> is from before a swap, or everything from after it. If not, read again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsSameState(int swaps)
    {
        // The loads before this one must complete before the number is read again.
        Volatile.ReadBarrier();
        return Volatile.Read(ref _swaps) == swaps;
    }

    /// <summary>Makes mutations and removals visible at one moment, and notes what became of each.</summary>
    /// <exception cref="OutOfMemoryException">Nothing has changed; the drafts stay those of the caller.</exception>
    internal void Swap(Span<StagedMutation> mutations, Span<StagedRemoval> removals)
    {
        Debug.Assert(_floor == 0, "Where an engine decides, nothing is evicted.");
        Span<int> keys = stackalloc int[HashIndex.ShardCount];
        keys.Clear();
        var highest = 0L;
        foreach (ref readonly var mutation in mutations)
        {
            keys[HashIndex.ShardOf(mutation.Hash)]++;
            highest = Math.Max(highest, mutation.Draft.Record.Revision);
        }

        foreach (ref readonly var removal in removals)
        {
            keys[HashIndex.ShardOf(removal.Hash)]++;
        }

        ContinueAfter(highest);
        _ordered.EnterSwap();
        var locked = 0;
        try
        {
            for (; locked < keys.Length; locked++)
            {
                if (keys[locked] > 0)
                {
                    _shards[locked].Lock.Enter();
                }
            }

            StageHoldingLocks(keys, mutations, removals);
            ExchangeHoldingLocks(keys);
            NoteSwappedHoldingLocks(mutations, removals);
        }
        finally
        {
            while (--locked >= 0)
            {
                if (keys[locked] > 0)
                {
                    _shards[locked].Lock.Exit();
                }
            }

            _ordered.ExitSwap();
        }

        Settle(mutations);
        _maintenance.NoteChange();
        _maintenance.RequestMerge();
    }

    private void StageHoldingLocks(ReadOnlySpan<int> keys, Span<StagedMutation> mutations, Span<StagedRemoval> removals)
    {
        var begun = 0;
        try
        {
            for (; begun < keys.Length; begun++)
            {
                if (keys[begun] > 0)
                {
                    _shards[begun].BeginSwapHoldingLock(keys[begun]);
                }
            }

            foreach (ref var mutation in mutations)
            {
                var shard = ShardOf(mutation.Hash);
                var key = new Utf8Key(mutation.Draft.Record.Key, mutation.Hash);
                mutation.IsNewest = shard.PublishHoldingLock(key, mutation.Draft, out mutation.IsRepeat);
                mutation.Replaced = mutation.IsNewest ? shard.Replaced : default;
            }

            foreach (ref var removal in removals)
            {
                removal.Removed = ShardOf(removal.Hash).TryRemoveThroughHoldingLock(new Utf8Key(removal.Key, removal.Hash), removal.ThroughRevision, out var removed)
                    ? removed
                    : default;
            }
        }
        catch
        {
            while (--begun >= 0)
            {
                if (keys[begun] > 0)
                {
                    _shards[begun].AbandonSwapHoldingLock();
                }
            }

            throw;
        }
    }

    // Fails for nothing: readers would wait for ever.
    private void ExchangeHoldingLocks(ReadOnlySpan<int> keys)
    {
        _ordered.BeginSwapHoldingLock();
        Interlocked.Increment(ref _swaps);
        for (var i = 0; i < keys.Length; i++)
        {
            if (keys[i] > 0)
            {
                _index.HideHoldingLock(i);
            }
        }

        for (var i = 0; i < keys.Length; i++)
        {
            if (keys[i] > 0)
            {
                _index.ShowHoldingLock(i);
            }
        }

        Interlocked.Increment(ref _swaps);
        for (var i = 0; i < keys.Length; i++)
        {
            if (keys[i] > 0)
            {
                _shards[i].EndSwapHoldingLock();
            }
        }
    }

    // After the exchange, because a watcher that is notified looks for the record.
    private void NoteSwappedHoldingLocks(ReadOnlySpan<StagedMutation> mutations, ReadOnlySpan<StagedRemoval> removals)
    {
        foreach (ref readonly var mutation in mutations)
        {
            if (!mutation.IsNewest)
            {
                continue;
            }

            var shard = ShardOf(mutation.Hash);
            var record = mutation.Draft.Record;
            if (!record.IsTombstone && !mutation.Replaced.IsValue)
            {
                shard.NewKeys.AddHoldingLock(mutation.Draft.Address);
            }

            if (Changes.IsWatched || record.IsTombstone)
            {
                NotePublishedHoldingLock(shard, record, mutation.Hash, mutation.Replaced);
            }
        }

        foreach (ref readonly var removal in removals)
        {
            if (!removal.Removed.IsNone)
            {
                NoteUnknownHoldingLock(removal.Removed, removal.Hash);
            }
        }
    }

    private void Settle(ReadOnlySpan<StagedMutation> mutations)
    {
        foreach (ref readonly var mutation in mutations)
        {
            if (mutation.IsNewest)
            {
                mutation.Draft.Segment.Settle(mutation.Draft.Record.SizeInSegment);
            }
            else if (mutation.IsRepeat)
            {
                // The record of the same mutation is in the index, and owns the large value.
                mutation.Draft.Discard();
            }
            else
            {
                Abandon(mutation.Draft);
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int AwaitSwap()
    {
        int swaps;
        while (((swaps = Volatile.Read(ref _swaps)) & 1) != 0)
        {
            Thread.Yield();
        }

        return swaps;
    }
}
