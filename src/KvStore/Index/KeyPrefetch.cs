using KvStore.Memory;
using KvStore.Rules;

namespace KvStore.Index;

/// <summary>Has what many searches will touch brought on its way at once, before the first of them.</summary>
internal static class KeyPrefetch
{
    private const int KeysMax = 128;

    /// <summary>Prefetches the words and records of keys; those that are not ASCII are left to their searches.</summary>
    public static void Of(IReadOnlyCollection<string> keys, int keyBytesMax, ShardedStore store)
    {
        Span<(ulong Hash, int KeyBytes)> asked = stackalloc (ulong, int)[KeysMax];
        var count = 0;
        foreach (var key in keys)
        {
            if (count == asked.Length)
            {
                break;
            }

            if (key is not null && KeyRules.TryAscii(key, keyBytesMax, out var hash))
            {
                asked[count++] = (hash, key.Length);
                store.PrefetchWords(hash);
            }
        }

        foreach (var (hash, keyBytes) in asked[..count])
        {
            store.PrefetchRecord(hash, keyBytes);
        }
    }
}
