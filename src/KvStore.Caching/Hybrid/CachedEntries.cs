using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace KvStore.Hybrid;

/// <summary>The entries of which something is known in memory, by the keys of the callers.</summary>
/// <remarks>
/// <para>It is not the truth: a lookup may miss an entry while the table grows, and may find an old version. The caller compares the
/// revision with the namespace.</para>
/// <para>A lookup takes no lock and allocates nothing. The hash has secrets of the process, because keys may come from clients.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class CachedEntries
{
    private const int BucketsMin = 256;

    private static readonly ulong s_secret = (ulong)Random.Shared.NextInt64() | 1;
    private static readonly ulong s_otherSecret = (ulong)Random.Shared.NextInt64() | 1;

    private readonly Lock _lock = new();
    private CachedEntry?[] _buckets = new CachedEntry?[BucketsMin];
    private int _count;

    /// <summary>How many entries there are.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The entry of a key; null when nothing is known of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CachedEntry? Find(ReadOnlySpan<char> key)
    {
        var hash = HashOf(key);
        var buckets = _buckets;
        var entry = buckets[hash & (uint)(buckets.Length - 1)];
        while (entry is not null && !(entry.Hash == hash && key.SequenceEqual(entry.Key)))
        {
            entry = entry.Next;
        }

        return entry;
    }

    /// <summary>Adds an entry in place of an older version.</summary>
    /// <returns>False when a newer version is there.</returns>
    public bool TryAdd(CachedEntry entry)
    {
        entry.Hash = HashOf(entry.Key);
        lock (_lock)
        {
            if (FindHoldingLock(entry.Key, entry.Hash) is { } present)
            {
                if (present.Revision > entry.Revision)
                {
                    return false;
                }

                UnlinkHoldingLock(present);
            }

            if (_count >= _buckets.Length)
            {
                GrowHoldingLock();
            }

            ref var bucket = ref BucketOf(_buckets, entry.Hash);
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
            if (FindHoldingLock(entry.Key, entry.Hash) == entry)
            {
                UnlinkHoldingLock(entry);
            }
        }
    }

    /// <summary>Removes what is known of a key in versions older than a revision.</summary>
    public void RemoveOlder(ReadOnlySpan<char> key, long revision)
    {
        if (Find(key) is not null)
        {
            lock (_lock)
            {
                if (FindHoldingLock(key, HashOf(key)) is { } entry && entry.Revision < revision)
                {
                    UnlinkHoldingLock(entry);
                }
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

    // The products of the blocks do not wait for each other. Blocks in another order have another hash, because each has other secrets.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint HashOf(ReadOnlySpan<char> key)
    {
        const int BlockBytes = 2 * sizeof(ulong);
        const ulong Step = 0x9E3779B97F4A7C15;
        const ulong OtherStep = 0xD1B54A32D192ED03;
        ref var start = ref Unsafe.As<char, byte>(ref MemoryMarshal.GetReference(key));
        nint bytes = key.Length * sizeof(char);
        var hash = s_secret ^ (ulong)bytes;
        if (bytes < BlockBytes)
        {
            for (nint at = 0; at < bytes; at += sizeof(char))
            {
                hash = (hash ^ Unsafe.ReadUnaligned<ushort>(ref Unsafe.Add(ref start, at))) * Step;
                hash ^= hash >> 29;
            }

            return (uint)((hash * s_otherSecret) >> 32);
        }

        var (secret, other) = (s_secret, s_otherSecret);
        for (nint at = 0; at < bytes - BlockBytes; at += BlockBytes)
        {
            hash += Product(
                Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, at)) ^ secret, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, at + sizeof(ulong))) ^ other);
            secret += Step;
            other += OtherStep;
        }

        hash += Product(
            Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, bytes - BlockBytes)) ^ secret,
            Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref start, bytes - sizeof(ulong))) ^ other);
        return (uint)((hash * Step) >> 32);
    }

    // Both halves of a product, in registers: Math.BigMul returns the low half through memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Product(ulong x, ulong y)
    {
        if (Bmi2.X64.IsSupported)
        {
            return Bmi2.X64.MultiplyNoFlags(x, y) ^ (x * y);
        }

        var high = Math.BigMul(x, y, out var low);
        return high ^ low;
    }

    private static ref CachedEntry? BucketOf(CachedEntry?[] buckets, uint hash) => ref buckets[hash & (uint)(buckets.Length - 1)];

    private CachedEntry? FindHoldingLock(ReadOnlySpan<char> key, uint hash)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var entry = BucketOf(_buckets, hash);
        while (entry is not null && !(entry.Hash == hash && key.SequenceEqual(entry.Key)))
        {
            entry = entry.Next;
        }

        return entry;
    }

    private void UnlinkHoldingLock(CachedEntry entry)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        ref var bucket = ref BucketOf(_buckets, entry.Hash);
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
                ref var bucket = ref BucketOf(grown, entry.Hash);
                entry.Next = bucket;
                bucket = entry;
                entry = next;
            }
        }

        Volatile.Write(ref _buckets, grown);
    }
}
