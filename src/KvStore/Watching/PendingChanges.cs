using System.Diagnostics;
using KvStore.Diagnostics;

namespace KvStore.Watching;

/// <summary>The newest pending change of each key that changed: a hash table that takes 40 to 80 bytes for each key, and the key where it is gone.</summary>
/// <remarks>
/// The key of a pending put is not kept, and two keys may have one hash. But each newest state of a key is noted here, so the pending put of
/// a key has the revision of the record that the next change of the key replaces; no other key has a record of that revision.
/// Thread safety: none; the owner has a lock.
/// </remarks>
internal sealed class PendingChanges
{
    private const int CapacityMin = 16;
    private const int None = -1;

    // The index of the first item of a chain, plus 1.
    private int[] _chains = [];
    private Item[] _items = [];
    private int _used;
    private int _free = None;

    /// <summary>How many keys have a pending change.</summary>
    public int Count { get; private set; }

    /// <summary>The bytes of the keys that are gone.</summary>
    public long GoneKeyBytes { get; private set; }

    /// <summary>Notes a change, in place of the pending one of its key.</summary>
    /// <returns>Whether the key had a pending change, which is skipped.</returns>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public bool Set(in KeyChange change)
    {
        var pending = new PendingChange(change.Hash, change.Revision, change.Kind, change.Kind == KvChangeKind.Put ? null : KeyOf(change));
        if (_chains.Length > 0)
        {
            for (var i = ChainOf(change.Hash) - 1; i >= 0; i = _items[i].Next)
            {
                ref var item = ref _items[i];
                if (IsOfKey(item.Change, change))
                {
                    GoneKeyBytes += (pending.Key?.Length ?? 0) - (item.Change.Key?.Length ?? 0);
                    item.Change = pending;
                    return true;
                }
            }
        }

        Add(pending);
        return false;
    }

    /// <summary>Removes the pending put of a record, if there is one.</summary>
    public void Remove(ulong hash, long revision)
    {
        if (_chains.Length == 0)
        {
            return;
        }

        ref var link = ref ChainOf(hash);
        for (int i = link - 1, previous = None; i >= 0; previous = i, i = _items[i].Next)
        {
            ref var item = ref _items[i];
            if (item.Change.Revision == revision && item.Change.Key is null)
            {
                if (previous < 0)
                {
                    link = item.Next + 1;
                }
                else
                {
                    _items[previous].Next = item.Next;
                }

                Release(i);
                return;
            }
        }
    }

    /// <summary>Forgets all changes. Allocates nothing.</summary>
    public void Clear()
    {
        (_chains, _items) = ([], []);
        (_used, _free, Count, GoneKeyBytes) = (0, None, 0, 0);
    }

    /// <summary>All changes, in no order.</summary>
    public PendingChange[] ToArray()
    {
        AllocationProbe.Before();
        var changes = new PendingChange[Count];
        var count = 0;
        foreach (ref readonly var item in _items.AsSpan(0, _used))
        {
            if (item.Change.Revision != 0)
            {
                changes[count++] = item.Change;
            }
        }

        Debug.Assert(count == Count);
        return changes;
    }

    /// <summary>Moves the changes up to a revision to a list.</summary>
    public void MoveThrough(long revision, List<PendingChange> destination)
    {
        for (var i = 0; i < _used; i++)
        {
            var change = _items[i].Change;
            if (change.Revision != 0 && change.Revision <= revision)
            {
                destination.Add(change);
                Unlink(i);
            }
        }
    }

    private static byte[] KeyOf(in KeyChange change)
    {
        AllocationProbe.Before();
        return change.Key.ToArray();
    }

    private static bool IsOfKey(in PendingChange pending, in KeyChange change) =>
        pending.Hash == change.Hash
        && (pending.Key is { } key ? change.Key.SequenceEqual(key) : pending.Revision == change.Replaced);

    private ref int ChainOf(ulong hash) => ref _chains[(int)hash & (_chains.Length - 1)];

    private void Add(in PendingChange pending)
    {
        if (_free < 0 && _used == _items.Length)
        {
            Grow();
        }

        var index = _free;
        if (index >= 0)
        {
            _free = _items[index].Next;
        }
        else
        {
            index = _used++;
        }

        ref var chain = ref ChainOf(pending.Hash);
        _items[index] = new Item { Change = pending, Next = chain - 1 };
        chain = index + 1;
        Count++;
        GoneKeyBytes += pending.Key?.Length ?? 0;
    }

    private void Unlink(int index)
    {
        ref var chain = ref ChainOf(_items[index].Change.Hash);
        if (chain - 1 == index)
        {
            chain = _items[index].Next + 1;
        }
        else
        {
            var i = chain - 1;
            while (_items[i].Next != index)
            {
                i = _items[i].Next;
            }

            _items[i].Next = _items[index].Next;
        }

        Release(index);
    }

    private void Release(int index)
    {
        GoneKeyBytes -= _items[index].Change.Key?.Length ?? 0;
        _items[index] = new Item { Next = _free };
        _free = index;
        Count--;
    }

    private void Grow()
    {
        AllocationProbe.Before();
        var capacity = Math.Max(CapacityMin, checked(_items.Length * 2));
        var items = new Item[capacity];
        var chains = new int[capacity];
        _items.AsSpan(0, _used).CopyTo(items);
        (_items, _chains) = (items, chains);
        for (var i = 0; i < _used; i++)
        {
            ref var chain = ref ChainOf(items[i].Change.Hash);
            items[i].Next = chain - 1;
            chain = i + 1;
        }
    }

    // A free one has no revision.
    private struct Item
    {
        public PendingChange Change;

        // The next of the chain, or of the free ones; -1 at the end.
        public int Next;
    }
}
