using KvStore.Index;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Order;

/// <content>
/// A walk that stops between two records for as long as it likes. It takes addresses, which keep nothing in memory, and resolves them
/// one by one while the version is unchanged. When it has changed, the walk takes new addresses behind the last key.
/// </content>
internal sealed partial class OrderedIndex
{
    /// <summary>Takes the addresses of the entries that come after a key, or from the first one with a prefix on.</summary>
    /// <param name="prefix">The prefix. Entries behind the last one that has it are taken too: the caller compares keys.</param>
    /// <param name="after">The key; empty to begin.</param>
    /// <param name="addresses">The addresses, and room for one at least.</param>
    /// <param name="version">Until when the addresses can be resolved: see <see cref="TryResolve"/>.</param>
    /// <returns>How many were taken; fewer than there is room for only at the end.</returns>
    public int TakeAddresses(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, Span<long> addresses, out int version)
    {
        for (var attempt = 0; attempt < OptimisticAttempts; attempt++)
        {
            version = Volatile.Read(ref _version);
            if ((version & 1) != 0 || HasNewKeys())
            {
                break;
            }

            if (TryTakeAddresses(version, prefix, after, addresses, out var count))
            {
                return count;
            }
        }

        lock (_lock)
        {
            MergeHoldingLock();
            version = _version;
            TryTakeAddresses(version, prefix, after, addresses, out var count);
            return count;
        }
    }

    /// <summary>Finds the record of an address. It may be dead: then the hash index has the newest one of its key.</summary>
    /// <returns>False when the leaves have changed since the address was taken.</returns>
    public bool TryResolve(long address, int version, out Record record)
    {
        var array = segments.ArrayOf(address);
        var isStill = IsStill(version);
        record = isStill ? new Record(array!, RecordAddress.OffsetOf(address)) : default;
        return isStill;
    }

    /// <summary>
    /// Prefetches the beginnings of records into the second-level cache, all at once, so that their cache and TLB misses overlap. The
    /// addresses may be stale.
    /// </summary>
    public void Prefetch(ReadOnlySpan<long> addresses, int bytes)
    {
        const int CacheLineBytes = 64;
        foreach (var address in addresses)
        {
            var array = segments.ArrayOf(address);
            var offset = RecordAddress.OffsetOf(address);
            HashIndex.PrefetchToL2(array, offset);
            for (var at = CacheLineBytes; at < bytes - 1; at += CacheLineBytes)
            {
                HashIndex.PrefetchToL2(array, offset + at);
            }

            HashIndex.PrefetchToL2(array, offset + bytes - 1);
        }
    }

    private bool TryTakeAddresses(int version, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, Span<long> addresses, out int count)
    {
        count = 0;
        var leaves = Volatile.Read(ref _leaves);
        var isAfter = after.SequenceCompareTo(prefix) >= 0 && !after.IsEmpty;
        if (!TrySeek(version, leaves, isAfter ? after : prefix, isAfter, out var leafIndex, out var position))
        {
            return false;
        }

        for (; leafIndex < leaves.Length && count < addresses.Length; leafIndex++)
        {
            var entries = EntriesOf(leaves[leafIndex]);
            entries = entries[Math.Min(position, entries.Length)..];
            entries = entries[..Math.Min(entries.Length, addresses.Length - count)];
            entries.CopyTo(addresses[count..]);
            count += entries.Length;
            position = 0;
        }

        return IsStill(version);
    }
}
