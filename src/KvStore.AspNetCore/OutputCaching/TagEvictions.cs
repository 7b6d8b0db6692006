using Microsoft.Extensions.Logging;

namespace KvStore.OutputCaching;

/// <summary>Deletes the pages of evicted tags.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="kv">Resolves the namespace.</param>
/// <param name="watch">The index of tags.</param>
/// <param name="adapter">The adapter, for messages.</param>
/// <param name="logger">The log.</param>
internal sealed class TagEvictions(Func<IKvExtendedNamespace> kv, TagWatch watch, KvAdapter adapter, ILogger logger)
{
    // Deletions that are under way at once. They share the flushes of the disk.
    private const int BatchPages = 256;

    private int _isRetrying;

    /// <summary>Evicts a tag. Its pages are not served any more from the moment of the call, and are deleted when the task completes.</summary>
    /// <returns>Whether they were deleted; when not, they stay hidden and are deleted later.</returns>
    public async ValueTask<bool> EvictAsync(TagIndex index, string tag)
    {
        var succeeded = !index.TryEvict(tag, out var keys, out var eviction) || await DeleteAsync(index, eviction, keys).ConfigureAwait(false);
        return succeeded && await RetryAsync(index).ConfigureAwait(false);
    }

    /// <summary>Deletes a page whose write has ended after its tag was evicted.</summary>
    public async ValueTask DeleteAsync(TagIndex index, string key, IReadOnlyList<TagEviction> evictions)
    {
        foreach (var eviction in evictions)
        {
            await DeleteAsync(index, eviction, [key]).ConfigureAwait(false);
        }
    }

    /// <summary>Tries again to delete pages that could not be deleted.</summary>
    /// <returns>False when some still could not be deleted.</returns>
    public async ValueTask<bool> RetryAsync(TagIndex index)
    {
        if (!index.HasFailedEvictions || Interlocked.Exchange(ref _isRetrying, 1) != 0)
        {
            return true;
        }

        try
        {
            var succeeded = true;
            foreach (var (eviction, keys) in index.TakeFailed())
            {
                // Where one fails, the others wait for the next time.
                if (succeeded)
                {
                    succeeded = await DeleteAsync(index, eviction, keys).ConfigureAwait(false);
                }
                else
                {
                    index.Release(eviction, succeeded: false);
                }
            }

            return succeeded;
        }
        finally
        {
            Volatile.Write(ref _isRetrying, 0);
        }
    }

    private async ValueTask<bool> DeleteAsync(TagIndex index, TagEviction eviction, IReadOnlyList<string> keys)
    {
        var succeeded = false;
        try
        {
            foreach (var batch in keys.Chunk(BatchPages))
            {
                await Task.WhenAll(batch.Select(key => DeletePageAsync(index, eviction, key).AsTask())).ConfigureAwait(false);
            }

            succeeded = true;
        }
        catch (Exception e) when (StoreFailure.Is(e))
        {
            logger.EvictionFailed(adapter.Namespace, e);
        }
        finally
        {
            index.Release(eviction, succeeded);
        }

        return succeeded;
    }

    // Deletes the version of a page that was evicted, and no other.
    private async ValueTask DeletePageAsync(TagIndex index, TagEviction eviction, string key)
    {
        var present = kv();
        while (true)
        {
            using var value = await present.GetAsync(key).ConfigureAwait(false);
            var (number, tags) = await StoredTags.ReadAsync(value).ConfigureAwait(false);
            if (number > index.ThroughOf(eviction) || Array.IndexOf(tags, eviction.Tag) < 0)
            {
                break;
            }

            var result = await present.TryDeleteAsync(key, KvCondition.Revision(value.Revision)).ConfigureAwait(false);
            if (result.Succeeded)
            {
                break;
            }
        }

        if (index.NoteRemoved(key))
        {
            await watch.SettleAsync(index, key).ConfigureAwait(false);
        }
    }
}
