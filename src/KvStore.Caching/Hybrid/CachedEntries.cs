using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvStore.Hybrid;

/// <summary>The entries of which something is known in memory, by the keys of the callers.</summary>
/// <remarks>
/// <para>A lookup may miss an entry while the table grows. It never returns one that was removed before the lookup began.</para>
/// <para>A lookup takes no lock and allocates nothing.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class CachedEntries
{
    private const int BucketsMin = 256;

    // So that nearly every entry is the first in its bucket: which are not, the processor cannot predict.
    private const int BucketsPerEntry = 4;

    private readonly Lock _lock = new();
    private CachedEntry?[] _buckets = new CachedEntry?[BucketsMin];
    private int _count;
    private bool _isClosed;

    /// <summary>How many entries there are.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The entry of a key; null when nothing is known of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CachedEntry? Find(ReadOnlySpan<char> key)
    {
        var length = key.Length;
        if (length is < KeyHash.CommonMin or > KeyHash.CommonMax)
        {
            return FindUncommon(key);
        }

        ref var start = ref Unsafe.As<char, byte>(ref MemoryMarshal.GetReference(key));
        var hash = KeyHash.OfCommon(ref start, length);
        var buckets = _buckets;
        var entry = buckets[hash & (uint)(buckets.Length - 1)];
        while (entry is not null && !(entry.Key.Length == length && KeyHash.AreCommonEqual(ref start, entry.Key, length)))
        {
            entry = entry.Next;
        }

        return entry;
    }

    /// <summary>Adds an entry in place of an older version.</summary>
    /// <returns>False when a newer version is there, or <see cref="Close"/> was called.</returns>
    public bool TryAdd(CachedEntry entry)
    {
        lock (_lock)
        {
            if (_isClosed)
            {
                return false;
            }

            if (FindHoldingLock(entry.Key) is { } present)
            {
                if (present.Revision > entry.Revision)
                {
                    return false;
                }

                UnlinkHoldingLock(present);
            }

            if (_count >= _buckets.Length / BucketsPerEntry)
            {
                GrowHoldingLock();
            }

            ref var bucket = ref BucketOf(_buckets, KeyHash.Of(entry.Key));
            entry.Next = bucket;
            Volatile.Write(ref bucket, entry);
            _count++;
            return true;
        }
    }

    /// <summary>Removes an entry, unless another one has taken its place.</summary>
    public void Remove(CachedEntry entry)
    {
        lock (_lock)
        {
            if (FindHoldingLock(entry.Key) == entry)
            {
                UnlinkHoldingLock(entry);
            }
        }
    }

    /// <summary>Removes what is known of a key.</summary>
    public void Remove(ReadOnlySpan<char> key) => RemoveOlder(key, long.MaxValue);

    /// <summary>Removes what is known of a key in versions older than a revision.</summary>
    public void RemoveOlder(ReadOnlySpan<char> key, long revision)
    {
        // With the lock, because a lookup may miss an entry.
        lock (_lock)
        {
            if (_count > 0 && FindHoldingLock(key) is { } entry && entry.Revision < revision)
            {
                UnlinkHoldingLock(entry);
            }
        }
    }

    /// <summary>Removes everything.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _buckets = new CachedEntry?[BucketsMin];
            _count = 0;
        }
    }

    /// <summary>Removes everything, and adds nothing any more.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            Clear();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private CachedEntry? FindUncommon(ReadOnlySpan<char> key) => Find(_buckets, key);

    private static CachedEntry? Find(CachedEntry?[] buckets, ReadOnlySpan<char> key)
    {
        var entry = BucketOf(buckets, KeyHash.Of(key));
        while (entry is not null && !key.SequenceEqual(entry.Key))
        {
            entry = entry.Next;
        }

        return entry;
    }

    private static ref CachedEntry? BucketOf(CachedEntry?[] buckets, uint hash) => ref buckets[hash & (uint)(buckets.Length - 1)];

    private CachedEntry? FindHoldingLock(ReadOnlySpan<char> key)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        return Find(_buckets, key);
    }

    private void UnlinkHoldingLock(CachedEntry entry)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        ref var bucket = ref BucketOf(_buckets, KeyHash.Of(entry.Key));
        if (bucket == entry)
        {
            bucket = entry.Next;
        }
        else
        {
            var before = bucket!;
            while (before.Next != entry)
            {
                before = before.Next!;
            }

            before.Next = entry.Next;
        }

        _count--;
    }

    // A reader in the old array may be led into another chain, and then finds nothing. Every chain ends, because entries are only put in front.
    private void GrowHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var grown = new CachedEntry?[_buckets.Length * 2];
        foreach (var first in _buckets)
        {
            for (var entry = first; entry is not null;)
            {
                var next = entry.Next;
                ref var bucket = ref BucketOf(grown, KeyHash.Of(entry.Key));
                entry.Next = bucket;
                bucket = entry;
                entry = next;
            }
        }

        Volatile.Write(ref _buckets, grown);
    }
}
