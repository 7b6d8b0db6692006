using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Diagnostics;

namespace KvStore.Keys;

/// <summary>An item of a <see cref="KeyTable{T}"/>, which belongs to one key.</summary>
internal abstract class KeyedItem<T>(byte[] key, ulong hash)
    where T : KeyedItem<T>
{
    /// <summary>The key in UTF-8.</summary>
    public byte[] Key { get; } = key;

    /// <summary>The hash of the key.</summary>
    public ulong Hash { get; } = hash;

    /// <summary>The next item whose key has the same 64-bit hash; null nearly always.</summary>
    public T? Next { get; set; }
}

/// <summary>A dictionary by key. A look-up takes a key in any form, uses the hash that the key has, and allocates nothing.</summary>
/// <remarks>Thread safety: none; the owner has a lock.</remarks>
internal sealed class KeyTable<T>
    where T : KeyedItem<T>
{
    private const int ShrinkFrom = 64;

    private readonly Dictionary<ulong, T> _items = [];

    /// <summary>The number of items.</summary>
    public int Count { get; private set; }

    /// <summary>Finds the item of a key; null when there is none.</summary>
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

    /// <summary>Adds an item. Requires: the table has no item of this key. On failure nothing has changed.</summary>
    public void Add(T item)
    {
        Debug.Assert(Find(new Utf8Key(item.Key, item.Hash)) is null, "A key has one item.");
        ref var first = ref CollectionsMarshal.GetValueRefOrAddDefault(_items, item.Hash, out _);
        item.Next = first;
        first = item;
        Count++;
    }

    /// <summary>Removes an item. Requires: the item is in the table. Cannot fail for lack of memory.</summary>
    public void Remove(T item)
    {
        Debug.Assert(ReferenceEquals(Find(new Utf8Key(item.Key, item.Hash)), item), "The item is in the table.");
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
            // There is no memory for the smaller table. The table shrinks the next time that it is empty.
        }
    }

    /// <summary>All items, in an order that may differ from process to process. The table must not change meanwhile.</summary>
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
