using System.Buffers;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Rules;

namespace KvStore.Reads;

/// <summary>Reads many keys so that the cache misses of their records overlap.</summary>
/// <remarks>
/// Three passes over the keys: the first hashes each key and prefetches its bucket of the hash index, the second prefetches its
/// record, the third reads the record.
/// </remarks>
internal static class GetMany
{
    private const int KeysOnStack = 128;

    // Stands for the hash of a key that is not ASCII, which is hashed when it is written as UTF-8.
    private const ulong Unhashed = 0;

    // KeyedValues finds a key by the hash that the index needs anyway, where the key is ASCII.
    private static readonly Func<string, uint> s_hashOf = static key =>
        KeyHash.TryOfAscii(key, out var hash) ? (uint)hash : OrdinalHashOf(key);

    /// <summary>Reads keys. A key that is named twice is answered once and counts twice towards the limit of the answer.</summary>
    /// <exception cref="KvException">There are too many or too few keys, one is invalid (400, 414), or the answer is too large (413).</exception>
    public static KeyedValues<KvValue> Read(
        ReadPath reads, ShardedStore store, KvLimits limits, IReadOnlyCollection<string> keys, int? cacheTtlSeconds)
    {
        ReadRules.CheckKeyCount(keys.Count, limits);
        var result = new KeyedValues<KvValue>(keys.Count, s_hashOf);
        var rented = keys.Count <= KeysOnStack ? null : ArrayPool<ulong>.Shared.Rent(keys.Count);
        Span<ulong> hashes = rented ?? stackalloc ulong[KeysOnStack];
        Span<int> repeated = rented is null ? stackalloc int[KeysOnStack] : new int[keys.Count];
        var repeats = 0;
        foreach (var key in keys is string[] array ? array.AsSpan() : [.. keys])
        {
            // A string that could be hashed is a valid key. Only other strings and the options need the checks.
            var isHashed = KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash);
            if (!isHashed || cacheTtlSeconds is not null)
            {
                ReadRules.CheckInBulk(key, cacheTtlSeconds, limits);
            }

            var (number, isNew) = result.Add(key, isHashed ? (uint)hash : OrdinalHashOf(key));
            if (isNew)
            {
                hashes[number] = isHashed ? hash : Unhashed;
                store.PrefetchBucket(hash);
            }
            else
            {
                repeated[repeats++] = number;
            }
        }

        var values = result.ValuesToFill;
        var all = result.AllKeys;
        hashes = hashes[..all.Length];
        for (var i = 0; i < hashes.Length; i++)
        {
            store.PrefetchRecord(hashes[i], all[i].Length);
        }

        long totalBytes;
        while (true)
        {
            var state = store.BeginStateRead();
            totalBytes = ReadAll(reads, all, hashes, values, cacheTtlSeconds);
            if (store.IsSameState(state))
            {
                break;
            }

            foreach (ref readonly var value in values)
            {
                // It is read again.
                value.Dispose();
            }
        }

        if (rented is not null)
        {
            ArrayPool<ulong>.Shared.Return(rented);
        }

        foreach (var number in repeated[..repeats])
        {
            totalBytes += values[number].Length;
        }

        ReadRules.CheckTotal(totalBytes, limits);
        return result;
    }

    // Returns the bytes of all values.
    private static long ReadAll(ReadPath reads, ReadOnlySpan<string> all, ReadOnlySpan<ulong> hashes, Span<KvValue> values, int? cacheTtlSeconds)
    {
        var totalBytes = 0L;
        for (var i = 0; i < values.Length; i++)
        {
            ref var value = ref values[i];
            if (hashes[i] != Unhashed)
            {
                value = reads.Read(all[i], hashes[i], cacheTtlSeconds);
            }
            else if (KeyRules.IsUnicode(all[i]))
            {
                value = reads.Read(all[i], "GET_BULK", cacheTtlSeconds);
            }

            // A key with an unpaired surrogate is no error among many keys: no value is stored under it.
            totalBytes += value.Length;
        }

        return totalBytes;
    }

    private static uint OrdinalHashOf(string key) => (uint)key.GetHashCode(StringComparison.Ordinal);
}
