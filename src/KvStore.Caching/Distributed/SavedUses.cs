using KvStore.Failures;
using KvStore.Keys;

namespace KvStore.Distributed;

/// <summary>
/// Keeps the last uses of entries over a restart, in entries of their own: <c>cache/~uses/0</c> and so on. Without them, as after a crash,
/// a use counts from the last touch that the store knows of.
/// </summary>
internal static class SavedUses
{
    // 192 KiB: small enough to be kept in memory, and not in a file of its own.
    private const int UsesMax = 8192;

    /// <summary>Reads what <see cref="SaveAsync"/> wrote.</summary>
    public static void Load(KvNamespace kv, EntryKeys keys, LastUses uses, StoreFailures failures)
    {
        try
        {
            var now = EntryExpiration.Milliseconds(kv.TimeProvider.GetUtcNow());
            for (var i = 0; kv.TryGet(KeyOf(keys, i), out var piece); i++)
            {
                using (piece)
                {
                    uses.Load(piece.GetBytes().Span, now);
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
            var saved = uses.Save(now, Find, UsesMax);
            var options = new KvPutOptions { ExpirationTtl = new EntryExpiration(saved.End, 0, 0).StoreTtl(now, kv.Limits) };
            var count = 0;
            foreach (var piece in saved.Pieces)
            {
                await kv.PutAsync(KeyOf(keys, count++), piece, options).ConfigureAwait(false);
            }

            // What an earlier time has left beyond them.
            for (; kv.TryGet(KeyOf(keys, count), out _); count++)
            {
                await kv.DeleteAsync(KeyOf(keys, count)).ConfigureAwait(false);
            }

            (long Revision, long End)? Find(string key, long time)
            {
                if (!kv.TryGet(keys.Of(key), out var value))
                {
                    return null;
                }

                var expiration = EntryExpiration.Read(value.Metadata.Utf8Json.Span);
                var end = expiration.EndsAt(time);
                return expiration.Slides && end > now ? (value.Revision, end) : null;
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            failures.Report("save", e);
        }
    }

    private static string KeyOf(EntryKeys keys, int piece) => Invariant($"{keys.Prefix}{EntryKeys.Reserved}uses/{piece}");
}
