using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Order;

/// <summary>The keys of one shard that the ordered index does not have yet, by the addresses of their records.</summary>
/// <remarks>
/// A put leaves the address of a new key here, and a list or the background work merges it into the leaves. Without memory for an
/// address the key is only in the hash index, and <see cref="HasLost"/> says so: the ordered index is then rebuilt from there.
/// Thread safety: all members, from any thread; those that say so only while holding the lock of the shard.
/// </remarks>
/// <param name="shard">The shard.</param>
/// <param name="index">The hash index.</param>
/// <param name="shardLock">The lock of the shard.</param>
/// <param name="mergedAt">How many keys the shard collects before it requests a merge.</param>
internal sealed class NewKeys(int shard, HashIndex index, Lock shardLock, int mergedAt)
{
    // The largest array that is kept for the next keys. A merge that comes late meets a larger one, which would otherwise stay.
    private readonly int _addressesKept = mergedAt * 2;

    private long[] _addresses = [];
    private int _count;
    private bool _hasLost;

    /// <summary>How many keys wait.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The bytes of the addresses.</summary>
    public long Bytes => Volatile.Read(ref _addresses).Length * (long)sizeof(long);

    /// <summary>Whether there was no memory to keep a key.</summary>
    public bool HasLost => Volatile.Read(ref _hasLost);

    /// <summary>Adds a key by the address of its record, after the hash index has it. Never fails.</summary>
    public void AddHoldingLock(long address)
    {
        Debug.Assert(shardLock.IsHeldByCurrentThread);
        if (_count == _addresses.Length && !TryGrow())
        {
            Volatile.Write(ref _hasLost, true);
            return;
        }

        _addresses[_count] = address;
        Volatile.Write(ref _count, _count + 1);
    }

    /// <summary>Moves the keys that wait to a batch.</summary>
    public void MoveTo(KeyBatch batch)
    {
        lock (shardLock)
        {
            batch.Add(_addresses.AsSpan(0, _count));
            ClearHoldingLock();
        }
    }

    /// <summary>
    /// Copies all keys of the shard to a batch, also keys that were moved before. In the same step the waiting keys are forgotten. Keys
    /// that are published afterwards wait here again.
    /// </summary>
    public void CopyAllTo(KeyBatch batch)
    {
        lock (shardLock)
        {
            var entries = index.EntriesOf(shard);
            var count = 0;
            foreach (var entry in entries)
            {
                count += IsValue(entry) ? 1 : 0;
            }

            batch.Reserve(count);
            foreach (var entry in entries)
            {
                if (IsValue(entry))
                {
                    batch.Add(entry & RecordAddress.Mask);
                }
            }

            ClearHoldingLock();
            Volatile.Write(ref _hasLost, false);
        }
    }

    /// <summary>Frees the memory, unless keys wait.</summary>
    public void Trim()
    {
        if (Volatile.Read(ref _addresses).Length == 0)
        {
            return;
        }

        lock (shardLock)
        {
            if (_count == 0)
            {
                _addresses = [];
            }
        }
    }

    /// <summary>Forgets the keys that wait.</summary>
    public void ClearHoldingLock()
    {
        Debug.Assert(shardLock.IsHeldByCurrentThread);
        Volatile.Write(ref _count, 0);
        if (_addresses.Length > _addressesKept)
        {
            _addresses = [];
        }
    }

    private static bool IsValue(long entry) => entry < 0 && (entry & HashEntry.TombstoneBit) == 0;

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
