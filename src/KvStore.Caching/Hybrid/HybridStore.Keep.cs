using System.Diagnostics;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <content>What is known in memory of an entry, so that the next read is cheap.</content>
internal sealed partial class HybridStore
{
    // What the next read needs.
    private CachedEntry EntryOf<T>(string key, long revision, EntryHeader header, T value, ReadOnlySpan<byte> payload) =>
        ImmutableTypes<T>.IsImmutable || value is null ? new CachedEntry<T>(Copy(key), revision, header, value)
        : payload.Length <= SerializedEntry<T>.PayloadBytesMax ? new SerializedEntry<T>(Copy(key), revision, header, payload.ToArray(), _serializers.Of<T>())
        : new CachedEntry(Copy(key), revision, header);

    // It lies beside the entry in memory, so that a hit loads fewer cache lines.
    private static string Copy(string key) => new(key.AsSpan());

    private bool TryAdd(CachedEntry entry, string storeKey, HybridCacheEntryFlags flags) =>
        (flags & HybridCacheEntryFlags.DisableLocalCacheWrite) == 0

            // A change is shown by its key, which a hash does not tell.
            && _keys.TryDecode(storeKey, out _)
            && Entries.TryAdd(entry);

    // Keeps what was read.
    private void Keep(CachedEntry entry, HybridCacheEntryFlags flags)
    {
        var storeKey = _keys.Of(entry.Key);
        if (!TryAdd(entry, storeKey, flags))
        {
            return;
        }

        // A change after this removes the entry: the observation does, or the watch. One that came before is found here.
        if ((_local is not null && (!_local.TryGet(storeKey, out var now) || now.Revision != entry.Revision)) || IsHidden(storeKey, entry.Revision))
        {
            Entries.Remove(entry);
        }
        else if (IsObserved)
        {
            entry.Confirm(entry.Revision);
        }
    }

    // Keeps what was written. Returns the revision that the key has; 0 when it has no entry.
    private long KeepWritten(CachedEntry entry, string storeKey, HybridCacheEntryFlags flags, KvMetadata metadata, ReadOnlySpan<byte> payload)
    {
        Debug.Assert(IsObserved && _local is not null);

        // Added before the look: the look finds a change that came before it, and the observation removes the entry at a later one.
        var isAdded = TryAdd(entry, storeKey, flags);
        _ = _local.TryGet(storeKey, out var stored);
        using (stored)
        {
            if (isAdded && IsOf(stored, metadata, payload) && !IsHidden(storeKey, stored.Revision))
            {
                entry.Confirm(stored.Revision);
            }
            else if (isAdded)
            {
                Entries.Remove(entry);
            }

            return stored.Revision;
        }
    }

    private async ValueTask<long> KeepWrittenElsewhereAsync(
        CachedEntry entry, string storeKey, HybridCacheEntryFlags flags, KvMetadata metadata, ReadOnlyMemory<byte> payload)
    {
        using var stored = _local is not null && _local.TryGet(storeKey, out var found) ? found : await _kv.GetAsync(storeKey).ConfigureAwait(false);
        if (IsOf(stored, metadata, payload.Span))
        {
            entry.Revision = stored.Revision;
            Keep(entry, flags);
        }

        return stored.Revision;
    }

    // Whether an entry is what was written. Somebody else may have written the key since. Equal bytes are the same value.
    private static bool IsOf(in KvValue stored, KvMetadata metadata, ReadOnlySpan<byte> payload) =>
        stored.Exists && !stored.IsLarge && stored.Metadata == metadata && stored.GetBytes().Span.SequenceEqual(payload);
}
