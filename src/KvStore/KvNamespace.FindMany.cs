using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Reads;
using KvStore.Regions;
using KvStore.Rules;

namespace KvStore;

/// <content>How a read of many keys overlaps what each would have to wait for.</content>
public sealed partial class KvNamespace
{
    private const int ManyOnStack = 128;

    // The hash of a key beyond ASCII, whose search begins by writing it as UTF-8.
    private const ulong Unhashed = 0;

    // What a KeyedValues finds its keys by: the hash that the search needs anyway, where there is one.
    private static readonly Func<string, uint> s_hashOf = static key =>
        KeyHash.TryOfAscii(key, out var hash) ? (uint)hash : (uint)key.GetHashCode(StringComparison.Ordinal);

    // Three times over the keys: the processor has been asked for all words before the first one is needed, and for all
    // records before the first of them is.
    private KeyedValues<KvValue> FindMany(IReadOnlyCollection<string> keys, int? cacheTtl, out long totalBytes)
    {
        var result = new KeyedValues<KvValue>(keys.Count, s_hashOf);
        var rented = keys.Count <= ManyOnStack ? null : ArrayPool<ulong>.Shared.Rent(keys.Count);
        Span<ulong> hashes = rented ?? stackalloc ulong[ManyOnStack];
        var isRepeated = false;
        foreach (var key in keys is string[] array ? array.AsSpan() : [.. keys])
        {
            // What is hashed is a key; only of one that isn't, or of an option, is there something to be said.
            var isHashed = KeyRules.TryAscii(key, _keyBytesMax, out var hash);
            if (!isHashed || cacheTtl is not null)
            {
                ReadRules.CheckInBulk(key, cacheTtl, _limits);
            }

            var (number, isNew) = result.Add(key, isHashed ? (uint)hash : s_hashOf(key));
            if (isNew)
            {
                hashes[number] = isHashed ? hash : Unhashed;
                _index.PrefetchWords(hash);
            }
            else
            {
                isRepeated = true;
            }
        }

        var values = result.ValuesToFill;
        var all = result.AllKeys;
        hashes = hashes[..all.Length];
        for (var i = 0; i < hashes.Length; i++)
        {
            _index.PrefetchRecord(hashes[i], all[i].Length);
        }

        totalBytes = 0;
        for (var i = 0; i < values.Length; i++)
        {
            ref var value = ref values[i];
            value = FindOneOfMany(all[i], hashes[i]);
            totalBytes += value.Length;
        }

        if (rented is not null)
        {
            ArrayPool<ulong>.Shared.Return(rented);
        }

        if (isRepeated)
        {
            totalBytes = SumOf(keys, result);
        }

        return result;
    }

    // As a region sees them: what it holds, and caches, is looked up key by key.
    private KeyedValues<KvValue> FindMany(IReadOnlyCollection<string> keys, KvRegion region, int? cacheTtl, out long totalBytes)
    {
        foreach (var key in keys)
        {
            ReadRules.CheckInBulk(key, cacheTtl, _limits);
        }

        KeyPrefetch.Of(keys, _limits.KeyBytesMax, _store);
        var result = new KeyedValues<KvValue>(keys.Count, s_hashOf);
        foreach (var key in keys)
        {
            var (number, isNew) = result.Add(key, s_hashOf(key));
            if (isNew && KeyRules.IsUnicode(key))
            {
                result.ValuesToFill[number] = region.Get(key, "GET_BULK", cacheTtl);
            }
        }

        totalBytes = SumOf(keys, result);
        return result;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private KvValue FindOneOfMany(string key, ulong hash)
    {
        if (hash != Unhashed)
        {
            var value = _index.Look<AsciiKey, ValueOutcome, KvValue>(new AsciiKey(key, hash), _clock, default);
            if (!value.IsUnknown)
            {
                return value;
            }
        }

        // An unpaired surrogate is no error among many keys; nothing is stored under it.
        return KeyRules.IsUnicode(key) && TryFind(key, "GET_BULK", out var record, out _) && TryView(key, record, out var found)
            ? found
            : default;
    }

    // A key that is named twice is answered once, and counts twice.
    private static long SumOf(IEnumerable<string> keys, KeyedValues<KvValue> values)
    {
        var total = 0L;
        foreach (var key in keys)
        {
            total += values[key].Length;
        }

        return total;
    }
}
