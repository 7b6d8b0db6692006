using System.Numerics;
using System.Runtime.CompilerServices;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Segments;

namespace KvStore.Index;

/// <content>Finds records by what a watcher keeps of them.</content>
internal sealed partial class HashIndex
{
    /// <summary>
    /// Finds the record with a hash and a revision, which only one record has. When there is none: one whose key has the hash and that has
    /// a higher revision, which is the newest of the key, or of another key with the same hash. Tombstones are not found.
    /// </summary>
    public bool TryFindRevision(ulong hash, long revision, out Record record)
    {
        var tag = HashEntry.TagOf(hash);

    Begin:
        // In bounds as in TryFind.
        record = default;
        var table = Volatile.Read(ref _slots[ShardOf(hash)].Table);
        ref var first = ref FirstBucketOf(table);
        var mask = BucketMaskOf(table);
        var offset = (nuint)hash & mask;
        while (true)
        {
            ref var bucket = ref Unsafe.AddByteOffset(ref first, offset);
            for (var candidates = HashBucket.Find(in bucket, HashEntry.TagMask, tag); candidates != 0; candidates &= candidates - 1)
            {
                ref var slotOfEntry = ref Unsafe.Add(ref bucket, BitOperations.TrailingZeroCount(candidates));
                var candidate = Volatile.Read(ref slotOfEntry);
                var array = _segments.ArrayOf(candidate);
                if ((candidate & HashEntry.TagMask) != tag || Volatile.Read(ref slotOfEntry) != candidate)
                {
                    goto Begin;
                }

                if ((candidate & HashEntry.TombstoneBit) != 0)
                {
                    continue;
                }

                var found = new Record(array!, RecordAddress.OffsetOf(candidate));
                if (found.Revision == revision)
                {
                    record = found;
                    return true;
                }

                if (found.Revision > revision && KeyHash.OfUtf8(found.Key) == hash)
                {
                    record = found;
                }
            }

            if (HashBucket.Find(in bucket, HashEntry.Moved) != 0)
            {
                AwaitTable();
                goto Begin;
            }

            if (HashBucket.Find(in bucket, HashEntry.Empty) != 0)
            {
                return !record.IsNone;
            }

            offset = (offset + HashBucket.Bytes) & mask;
        }
    }
}
