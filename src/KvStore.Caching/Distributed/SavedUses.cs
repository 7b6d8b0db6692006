using KvStore.Keys;

namespace KvStore.Distributed;

/// <summary>
/// Keeps the last uses of entries over a restart, in entries of their own: <c>cache/~uses/0</c> and so on. Without them, as after a crash,
/// a use counts from the last touch that the store knows of.
/// </summary>
internal static class SavedUses
{
    // 128 KiB: small enough to be kept in memory, and not in a file of its own.
    private const int PairsMax = 8192;

    /// <summary>Reads what <see cref="SaveAsync"/> wrote.</summary>
    public static void Load(KvNamespace kv, EntryKeys keys, LastUses uses, StoreFailures failures)
    {
        try
        {
            for (var i = 0; kv.TryGet(KeyOf(keys, i), out var piece); i++)
            {
                using (piece)
                {
                    uses.Load(piece.GetBytes().Span);
                }
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            failures.Report("load", e);
        }
    }

    /// <summary>Writes the uses of entries that are still there.</summary>
    public static async ValueTask SaveAsync(KvNamespace kv, EntryKeys keys, LastUses uses, StoreFailures failures)
    {
        try
        {
            await uses.WhenTouchedAsync().ConfigureAwait(false);
            var now = EntryExpiration.Milliseconds(kv.TimeProvider.GetUtcNow());
            var lifetime = 0L;
            var pieces = uses.Save(now, RevisionToSave, PairsMax);
            var count = 0;
            foreach (var piece in pieces)
            {
                var ttl = new EntryExpiration(now + lifetime, 0, 0).StoreTtl(now, kv.Limits);
                await kv.PutAsync(KeyOf(keys, count++), piece, new KvPutOptions { ExpirationTtl = ttl }).ConfigureAwait(false);
            }

            // What an earlier time has left beyond them.
            for (; kv.TryGet(KeyOf(keys, count), out _); count++)
            {
                await kv.DeleteAsync(KeyOf(keys, count)).ConfigureAwait(false);
            }

            long? RevisionToSave(string key, long time)
            {
                if (!kv.TryGet(keys.Of(key), out var value))
                {
                    return null;
                }

                var expiration = EntryExpiration.Read(value.Metadata.Utf8Json.Span);
                var end = expiration.EndsAt(time);
                if (!expiration.Slides || end <= now)
                {
                    return null;
                }

                lifetime = Math.Max(lifetime, end - now);
                return value.Revision;
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            failures.Report("save", e);
        }
    }

    private static string KeyOf(EntryKeys keys, int piece) => Invariant($"{keys.Prefix}{EntryKeys.Reserved}uses/{piece}");
}
