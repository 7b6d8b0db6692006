using KvStore.Diagnostics;
using KvStore.Order;

namespace KvStore.Memory;

/// <summary>The addresses of a shard's new keys, until the ordered index takes them.</summary>
/// <remarks>Every member is for the holder of the shard's lock, except where it says otherwise.</remarks>
internal sealed class NewKeys
{
    // The capacity that is kept for the next keys: twice what a shard collects before it requests a merge.
    private const int CapacityKept = 1024;

    private long[] _addresses = [];
    private int _count;
    private bool _hasLost;

    /// <summary>The number of addresses. Any thread may ask.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Whether addresses were lost for lack of memory, so that the order has to be rebuilt. Any thread may ask.</summary>
    public bool HasLost => Volatile.Read(ref _hasLost);

    /// <summary>Adds the address of a new key's record. Never fails: where there is no memory, the address is lost.</summary>
    public void Add(long address)
    {
        if (_count == _addresses.Length && !TryGrow())
        {
            // The key is in the hash index already, from which the ordered index can be rebuilt.
            Volatile.Write(ref _hasLost, true);
            return;
        }

        _addresses[_count] = address;
        Volatile.Write(ref _count, _count + 1);
    }

    /// <summary>Moves the addresses to a batch.</summary>
    public void MoveTo(KeyBatch batch)
    {
        batch.Add(_addresses.AsSpan(0, _count));
        Clear();
    }

    /// <summary>Forgets the addresses, and that some were lost: all keys of the shard have been copied.</summary>
    public void Forget()
    {
        Clear();
        Volatile.Write(ref _hasLost, false);
    }

    /// <summary>Frees the memory.</summary>
    public void Close()
    {
        _addresses = [];
        Volatile.Write(ref _count, 0);
    }

    private void Clear()
    {
        Volatile.Write(ref _count, 0);
        if (_addresses.Length > CapacityKept)
        {
            _addresses = [];
        }
    }

    private bool TryGrow()
    {
        try
        {
            AllocationProbe.Before();
            Array.Resize(ref _addresses, Math.Max(16, _addresses.Length * 2));
            return true;
        }
        catch (OutOfMemoryException)
        {
            return false;
        }
    }
}
