using System.Runtime.InteropServices;
using KvStore.Diagnostics;
using KvStore.Keys;

namespace KvStore.Replication;

/// <summary>Something kept for a key, in a <see cref="KeyTable{T}"/>.</summary>
internal abstract class KeyedItem<T>(byte[] key, ulong hash)
    where T : KeyedItem<T>
{
    /// <summary>The key in UTF-8.</summary>
    public byte[] Key { get; } = key;

    /// <summary>Its hash.</summary>
    public ulong Hash { get; } = hash;

    /// <summary>The next one whose key has the same hash, which is all but impossible.</summary>
    public T? Next { get; set; }
}

/// <summary>A dictionary by key that can be asked with a key in any form, without making an object of it.</summary>
/// <remarks>Thread safety: none; whoever owns it has a lock.</remarks>
internal sealed class KeyTable<T>
    where T : KeyedItem<T>
{
    private const int ShrinkFrom = 64;

    private readonly Dictionary<ulong, T> _items = [];

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>Finds what is kept for a key.</summary>
    public T? Find<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        _items.TryGetValue(key.Hash, out var item);
        while (item is not null
            && (item.Key.Length != key.Utf8Bytes || key.DiffersFrom(in MemoryMarshal.GetArrayDataReference(item.Key))))
        {
            item = item.Next;
        }

        return item;
    }

    /// <summary>Takes the memory that the next <see cref="Add"/> needs.</summary>
    public void Reserve()
    {
        AllocationProbe.Before();
        if (_items.Count == _items.Capacity)
        {
            _items.EnsureCapacity(Math.Max(4, _items.Count * 2));
        }
    }

    /// <summary>Adds an item, whose key has none yet. Allocates nothing after <see cref="Reserve"/>.</summary>
    public void Add(T item)
    {
        ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_items, item.Hash, out _);
        item.Next = first;
        first = item;
        Count++;
    }

    /// <summary>Removes an item that is in the table. Throws nothing.</summary>
    public void Remove(T item)
    {
        Count--;
        var first = _items[item.Hash];
        if (!ReferenceEquals(first, item))
        {
            while (!ReferenceEquals(first.Next, item))
            {
                first = first.Next!;
            }

            first.Next = item.Next;
        }
        else if (item.Next is { } next)
        {
            _items[item.Hash] = next;
        }
        else
        {
            _items.Remove(item.Hash);
            if (Count == 0 && _items.Capacity > ShrinkFrom)
            {
                Shrink();
            }
        }
    }

    private void Shrink()
    {
        try
        {
            AllocationProbe.Before();
            _items.TrimExcess();
        }
        catch (OutOfMemoryException)
        {
            // A smaller table takes memory as well. The next time that it is empty.
        }
    }

    /// <summary>All items, in no order that would be the same in another process. The table must not change meanwhile.</summary>
    public IEnumerable<T> Items
    {
        get
        {
            foreach (var first in _items.Values)
            {
                for (var item = first; item is not null; item = item.Next)
                {
                    yield return item;
                }
            }
        }
    }
}
