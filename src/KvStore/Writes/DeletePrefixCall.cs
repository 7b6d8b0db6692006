using System.Runtime.ExceptionServices;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;

namespace KvStore.Writes;

/// <summary>One call that deletes all keys that begin with a prefix, and counts them.</summary>
/// <remarks>
/// <para>It walks the ordered index a batch of keys at a time, as pages of a list do, and deletes each key if its entry is not newer than
/// the call: that is decided with the delete, so that a put which is made meanwhile stays. Nothing is kept for a key once its batch is
/// deleted.</para>
/// <para>A batch is small, because flushes are put off while it is appended. Between two batches the thread is given back.</para>
/// <para>Not thread-safe: it is one call.</para>
/// </remarks>
internal sealed class DeletePrefixCall(ShardedStore store, CommitPath commit, byte[] prefix, long throughRevision, RegionView? origin, CancellationToken cancellationToken)
{
    private const int BatchKeys = 2048;
    private const int PrefetchedKeys = 32;

    private readonly KvCondition _condition = KvCondition.NotNewerThan(throughRevision);
    private readonly Record[] _records = new Record[BatchKeys];
    private readonly WriteGroup _group = new(BatchKeys);
    private byte[] _after = [];
    private long _deleted;

    /// <summary>Deletes the keys.</summary>
    /// <returns>How many entries were deleted.</returns>
    public async ValueTask<long> DeleteAsync()
    {
        try
        {
            while (true)
            {
                var found = store.List(prefix, _after, _records);
                if (found > 0)
                {
                    await DeleteAsync(found).ConfigureAwait(false);
                }

                if (found < BatchKeys)
                {
                    return _deleted;
                }

                cancellationToken.ThrowIfCancellationRequested();
                await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            }
        }
        catch (KvPersistenceException e) when (e.GetType() == typeof(KvPersistenceException))
        {
            throw new KvPersistenceException(Invariant($"{e.Message} Of the prefix, {_deleted} entries were deleted before."), e.InnerException ?? e);
        }
        finally
        {
            // Not to keep segments in memory.
            Array.Clear(_records);
        }
    }

    private async ValueTask DeleteAsync(int found)
    {
        _after = _records[found - 1].Key.ToArray();
        Exception? failure = null;
        try
        {
            Draft(found);
            commit.Commit(_group);
        }
        catch (Exception e)
        {
            failure = e;
        }

        // Also after a failure: what was appended before it is deleted.
        for (var i = _group.Waiting.Count - 1; i >= 0; i--)
        {
            try
            {
                await _group.Waiting[i].Done.ConfigureAwait(false);
            }
            catch (Exception e)
            {
                failure = e;
            }
        }

        _group.Waiting.Clear();
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        foreach (ref readonly var item in _group.Items)
        {
            _deleted += item.Check!.IsMade ? 1 : 0;
        }

        _group.Clear();
    }

    private void Draft(int found)
    {
        for (var i = 0; i < found; i++)
        {
            if (i % PrefetchedKeys == 0)
            {
                for (var ahead = i; ahead < Math.Min(i + PrefetchedKeys, found); ahead++)
                {
                    commit.Prefetch(KeyHash.OfUtf8(_records[ahead].Key));
                }
            }

            if (_condition.HoldsFor(_records[i].Revision))
            {
                commit.AddDelete(_group, i, _records[i].Key.ToArray(), origin, _condition, call: null);
            }
        }
    }
}
