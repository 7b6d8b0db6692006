using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Order;

/// <content>Changes of the order. All of them happen under the lock, with an odd version.</content>
internal sealed partial class OrderedIndex
{
    /// <summary>
    /// Takes the lock for a change of many keys at one moment. Lists go on until <see cref="BeginSwapHoldingLock"/>, and then wait for
    /// <see cref="ExitSwap"/>. Take the locks of shards after this one, as a merge does.
    /// </summary>
    public void EnterSwap()
    {
        _lock.Enter();
        try
        {
            // Lists that begin now need not take the lock for keys that wait.
            MergeHoldingLock();
        }
        catch
        {
            _lock.Exit();
            throw;
        }
    }

    /// <summary>Keys change from now on. Lists wait.</summary>
    public void BeginSwapHoldingLock() => BeginChange();

    /// <summary>The keys have changed. Lists go on.</summary>
    public void ExitSwap()
    {
        // Nothing was changed when the swap failed before it began.
        if ((_version & 1) != 0 && !_isDropped)
        {
            EndChange();
        }

        _lock.Exit();
    }

    // Odd already, if the change before failed: then lists take the lock until the leaves are rebuilt.
    private void BeginChange()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        Interlocked.Exchange(ref _version, _version | 1);
    }

    private void EndChange()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        Debug.Assert((_version & 1) != 0, "A change that ends has begun.");
        Volatile.Write(ref _version, (_version | 1) + 1);
    }

    private void MergeHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }

        if (_isDropped || HasLostNewKeys())
        {
            RebuildHoldingLock();
        }

        if (_batch.Count == 0 && !HasNewKeys())
        {
            return;
        }

        // Before the shards hand their keys over: until the keys are in the leaves, they are in neither.
        BeginChange();
        try
        {
            foreach (var keys in newKeys)
            {
                if (keys.Count > 0)
                {
                    keys.MoveTo(_batch);
                    MergeBatchIfFullHoldingLock();
                }
            }

            MergeBatchHoldingLock();
        }
        catch
        {
            DropHoldingLock();
            throw;
        }

        EndChange();
    }

    // Buffers for all keys at once could take more memory than a budget has left.
    private void MergeBatchIfFullHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_batch.Count >= batchKeysMax)
        {
            MergeBatchHoldingLock();
        }
    }

    private void MergeBatchHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        Debug.Assert((_version & 1) != 0, "A merge is a change.");
        if (_batch.Count > 0)
        {
            _batch.Sort();
        }

        if (_batch.Count > 0)
        {
            AllocationProbe.Before();
            var merge = new LeafMerge(segments, _leaves);
            merge.Add(_batch.Sorted);
            _leaves = merge.Leaves;
            Volatile.Write(ref _entryCount, _entryCount + merge.AddedCount);
        }

        _batch.Clear();
    }

    // A shard forgets its new keys in the same step in which its keys are copied: a key that is published afterwards is new again.
    private void RebuildHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        DropHoldingLock();
        try
        {
            foreach (var keys in newKeys)
            {
                keys.CopyAllTo(_batch);
                MergeBatchIfFullHoldingLock();
            }

            MergeBatchHoldingLock();
        }
        catch
        {
            DropHoldingLock();
            throw;
        }

        _isDropped = false;
        EndChange();
    }

    private void DropHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        BeginChange();
        _isDropped = true;
        _leaves = [];
        Volatile.Write(ref _entryCount, 0);
        _batch.Drop();
    }

    private int RefreshHoldingLock(SegmentSet? concerns, int start)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_isDropped)
        {
            // The rebuilt leaves come from the hash index, which points at live records only.
            return int.MaxValue;
        }

        start = Math.Min(start, _leaves.Length);
        var end = Math.Min(start + RefreshLeaves, _leaves.Length);
        BeginChange();
        try
        {
            AllocationProbe.Before();
            _refreshHashes = _refreshHashes.Length == 0 ? new ulong[Leaf.Capacity] : _refreshHashes;
            var refresh = new LeafRefresh(segments, index, concerns, _refreshHashes);
            for (var i = start; i < end; i++)
            {
                var before = _leaves[i].Count;
                refresh.Run(_leaves[i]);
                Volatile.Write(ref _entryCount, _entryCount - (before - _leaves[i].Count));
            }

            AllocationProbe.Before();
            var merge = new LeafMerge(segments, _leaves);
            end = merge.Join(start, end);
            _leaves = merge.Leaves;
        }
        catch
        {
            DropHoldingLock();
            throw;
        }

        EndChange();
        return end;
    }
}
