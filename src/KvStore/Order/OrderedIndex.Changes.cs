using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Order;

/// <content>How the order changes: all of it under the gate, with an odd version.</content>
internal sealed partial class OrderedIndex
{
    /// <summary>Loses the last entries of the last leaf, as a fault would, for a test of what then happens.</summary>
    internal void LoseForTest(int count)
    {
        lock (_gate)
        {
            BeginChange();
            _leaves[^1].Count -= count;
            EndChange();
        }
    }

    // Odd already, if the change before failed: then lists go through the gate until everything was made anew.
    private void BeginChange() => Interlocked.Exchange(ref _version, _version | 1);

    private void EndChange() => Volatile.Write(ref _version, (_version | 1) + 1);

    private void MergeHoldingGate()
    {
        Debug.Assert(_gate.IsHeldByCurrentThread);
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }

        if (_isDropped || HasLostNewKeys())
        {
            RebuildHoldingGate();
        }

        if (_batch.Count == 0 && !HasNewKeys())
        {
            return;
        }

        // Before the shards give their keys away: from then on until they are in the leaves, a key is in neither.
        BeginChange();
        try
        {
            foreach (var keys in newKeys)
            {
                if (keys.Count > 0)
                {
                    keys.MoveTo(_batch);
                }
            }

            _batch.Sort();
            AllocationProbe.Before();
            var merge = new LeafMerge(segments, _leaves);
            merge.Add(_batch.Sorted);
            _leaves = merge.Leaves;
            Volatile.Write(ref _entryCount, _entryCount + merge.AddedCount);
        }
        catch
        {
            DropHoldingGate();
            throw;
        }

        EndChange();
        _batch.Clear();
    }

    // A shard's new keys are forgotten in the same step in which its words are read: what is published afterwards waits there again.
    private void RebuildHoldingGate()
    {
        DropHoldingGate();
        try
        {
            foreach (var keys in newKeys)
            {
                keys.CopyAllTo(_batch);
            }

            _batch.Sort();
            AllocationProbe.Before();
            var merge = new LeafMerge(segments, []);
            if (_batch.Count > 0)
            {
                merge.Add(_batch.Sorted);
            }

            _leaves = merge.Leaves;
            Volatile.Write(ref _entryCount, merge.AddedCount);
        }
        catch
        {
            DropHoldingGate();
            throw;
        }

        _isDropped = false;
        EndChange();
        _batch.Clear();
    }

    private void DropHoldingGate()
    {
        Debug.Assert(_gate.IsHeldByCurrentThread);
        BeginChange();
        _isDropped = true;
        _leaves = [];
        Volatile.Write(ref _entryCount, 0);
        _batch.Drop();
    }

    private int RefreshHoldingGate(SegmentSet? concerns, int start)
    {
        if (_isDropped)
        {
            // What will be made anew comes from the words, which name live records only.
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
            DropHoldingGate();
            throw;
        }

        EndChange();
        return end;
    }
}
