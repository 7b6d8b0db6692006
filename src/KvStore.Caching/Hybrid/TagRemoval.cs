using KvStore.Failures;

namespace KvStore.Hybrid;

/// <summary>Removes the entries with some tags from the namespace.</summary>
/// <remarks>Requires: what could still store a value from before is outdated or has ended (<see cref="KeyWrites.RemoveTaggedAsync"/>).</remarks>
internal sealed class TagRemoval(HybridStore store)
{
    // So many deletes share a flush where the namespace flushes each write.
    private const int DeletesAtOnce = 1024;

    private IKvExtendedNamespace Namespace => store.Namespace;

    /// <summary>Removes all entries of the cache.</summary>
    /// <returns>Whether nothing failed.</returns>
    public async ValueTask<bool> TryRemoveAllAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Namespace.DeletePrefixAsync(store.Keys.Prefix, cancellationToken).ConfigureAwait(false);
            store.Entries.Clear();
            return true;
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            store.Report("remove_by_tag", e);
        }

        try
        {
            await foreach (var entry in Namespace.ScanAsync(store.Keys.Prefix, cancellationToken).ConfigureAwait(false))
            {
                store.Hide(entry.Key, entry.Value.Revision);
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            store.Report("remove_by_tag", e);
        }

        return false;
    }

    /// <summary>Removes the entries that have one of some tags.</summary>
    /// <param name="tags">The tags as they are stored.</param>
    /// <param name="cancellationToken">Ends the removal; what was removed stays removed.</param>
    /// <returns>Whether nothing failed.</returns>
    public async ValueTask<bool> TryRemoveAsync(HashSet<string> tags, CancellationToken cancellationToken)
    {
        store.Watch.Start();
        if (!store.Tags.TryFind(tags, out var keys) && !await TryScanAsync(tags, keys, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        var isOk = true;
        foreach (var batch in keys.Chunk(DeletesAtOnce))
        {
            var deletes = new List<Task<bool>>();
            foreach (var key in batch)
            {
                deletes.Add(TryRemoveAsync(key, tags, cancellationToken).AsTask());
            }

            isOk &= Array.TrueForAll(await Task.WhenAll(deletes).ConfigureAwait(false), static isDone => isDone);
        }

        return isOk;
    }

    private async ValueTask<bool> TryRemoveAsync(string key, HashSet<string> tags, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                using var stored = await Namespace.GetAsync(key, options: null, cancellationToken).ConfigureAwait(false);
                if (!stored.Exists || !await HasTagAsync(stored, tags, cancellationToken).ConfigureAwait(false))
                {
                    return true;
                }

                // Only this version: the next one may have other tags.
                var deleted = await Namespace.TryDeleteAsync(key, KvCondition.Revision(stored.Revision), cancellationToken).ConfigureAwait(false);
                if (deleted.Succeeded)
                {
                    return true;
                }
            }
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            store.Report("remove_by_tag", e);
            await store.HideAsync(key).ConfigureAwait(false);
            return false;
        }
    }

    // While the watch has not shown all entries: after a start, or where it has ended.
    private async ValueTask<bool> TryScanAsync(HashSet<string> tags, HashSet<string> keys, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var (key, value) in Namespace.ScanAsync(store.Keys.Prefix, cancellationToken).ConfigureAwait(false))
            {
                using (value)
                {
                    if (await HasTagAsync(value, tags, cancellationToken).ConfigureAwait(false))
                    {
                        keys.Add(key);
                    }
                }
            }

            return true;
        }
        catch (Exception e) when (StoreFailures.IsOne(e))
        {
            store.Report("remove_by_tag", e);
            return false;
        }
    }

    private static async ValueTask<bool> HasTagAsync(KvValue stored, HashSet<string> tags, CancellationToken cancellationToken)
    {
        var header = HybridStore.HeaderOf(stored);
        var found = header.TagBytes == 0
            ? header.Tags
            : header.TagsIn((await stored.ReadBytesAsync(cancellationToken).ConfigureAwait(false)).Span);
        return found.Any(tags.Contains);
    }
}
