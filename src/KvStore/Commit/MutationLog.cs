using System.Runtime.CompilerServices;
using KvStore.Engine;
using KvStore.Keys;
using KvStore.Replication;

namespace KvStore.Commit;

/// <summary>
/// Puts mutations in order, hands them to the persistence provider in that order, and publishes each when it is durable.
/// </summary>
/// <remarks>
/// <para>A revision is taken and the mutation appended under one lock: the order of revisions is the order of the log. What
/// the provider takes at once is published under the same lock. What has to wait is published when its turn comes, in
/// whatever order that happens: the highest revision of a key wins.</para>
/// <para>A delete needs no tombstone when no older mutation is on its way. Those that had to be left are forgotten once they
/// are many and nothing older can arrive.</para>
/// <para>A mutation that loses because of a wrong clock, against one that its region has not heard of, is not appended: it
/// is never the newest, and what is recovered is the winner.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class MutationLog(string name, ShardedStore store, IKvPersistence persistence)
{
    private const int TombstonesMin = 1024;

    private readonly SettledRevisions _settled = new();
    private readonly Lock _order = new();
    private bool _isClosed;
    private int _isForgetting;

    /// <summary>Keeps large values outside memory; null when the provider does not.</summary>
    public IKvLargeValues? LargeValues => persistence.LargeValues;

    /// <summary>What stands behind it.</summary>
    public IKvPersistence Persistence => persistence;

    /// <summary>Makes a put durable, then visible. The draft is given up when that fails.</summary>
    public ValueTask PutAsync<TKey>(in TKey key, in RecordDraft draft, Departure? departure = null)
        where TKey : struct, IKey, allows ref struct
    {
        ValueTask append;
        long revision;
        long place;
        try
        {
            lock (_order)
            {
                ThrowIfClosed();
                if (departure is not null && !departure.Decide(key))
                {
                    Publish(key, draft, revision: 0, departure);
                    return default;
                }

                revision = store.TakeRevision();
                append = persistence.AppendAsync(draft.Record.ToMutation(revision));
                if (append.IsCompletedSuccessfully)
                {
                    append.GetAwaiter().GetResult();
                    Publish(key, draft, revision, departure);
                    return default;
                }

                place = _settled.Begin(revision);
            }
        }
        catch
        {
            GiveUp(draft);
            throw;
        }

        return PublishWhenDurableAsync(append, draft, revision, place, departure);
    }

    /// <summary>Makes a delete durable, then visible.</summary>
    public ValueTask DeleteAsync<TKey>(in TKey key, Departure? departure = null)
        where TKey : struct, IKey, allows ref struct
    {
        ValueTask append;
        RecordDraft draft;
        long revision;
        long place;
        lock (_order)
        {
            ThrowIfClosed();
            var isAlone = _settled.IsIdle;
            if (isAlone && !store.Knows(key) && departure?.IsInFlight(key) != true)
            {
                return default;
            }

            if (departure is not null && !departure.Decide(key))
            {
                store.Delete(key, departure);
                departure.Complete(key);
                return default;
            }

            draft = store.Draft(key, metadataBytes: 0, valueBytes: 0, deadline: default);
            try
            {
                revision = store.TakeRevision();
                append = persistence.AppendAsync(draft.Record.ToMutation(revision) with { IsDelete = true });
                if (append.IsCompletedSuccessfully && isAlone)
                {
                    append.GetAwaiter().GetResult();
                    ShardedStore.Abandon(draft);
                    store.Delete(key, departure);
                    departure?.Complete(key);
                    return default;
                }

                place = _settled.Begin(revision);
            }
            catch
            {
                ShardedStore.Abandon(draft);
                throw;
            }
        }

        return DeleteWhenDurableAsync(append, draft, revision, place, departure);
    }

    /// <summary>Completes when every mutation up to a revision that was appended is visible, or has failed.</summary>
    public Task WhenSettledAsync(long throughRevision)
    {
        lock (_order)
        {
            // Whatever was appended before has set out now.
        }

        return _settled.WhenSettledAsync(throughRevision);
    }

    /// <summary>Takes no more mutations, makes durable what was taken, and closes the provider.</summary>
    public async ValueTask CloseAsync()
    {
        lock (_order)
        {
            _isClosed = true;
        }

        try
        {
            await persistence.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            await _settled.WhenSettledAsync(long.MaxValue - 1).ConfigureAwait(false);
        }
    }

    /// <summary>Lets go of a large value that was written for a put which then was not made.</summary>
    public void Release(KvValueReference reference) => LargeValues?.Release(reference);

    /// <summary>Gives up a draft that may refer to a large value.</summary>
    /// <remarks>Whether the log has it is not known, so the value is only released: the provider removes it when that is safe.</remarks>
    public void GiveUp(in RecordDraft draft)
    {
        var reference = draft.Record.LargeValue;
        ShardedStore.Abandon(draft);
        if (!reference.IsNone)
        {
            Release(reference);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask PublishWhenDurableAsync(
        ValueTask append, RecordDraft draft, long revision, long place, Departure? departure)
    {
        try
        {
            try
            {
                await append.ConfigureAwait(false);
            }
            catch
            {
                GiveUp(draft);
                throw;
            }

            Publish(new Utf8Key(draft.Record.Key), draft, revision, departure);
        }
        finally
        {
            _settled.Settle(place);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask DeleteWhenDurableAsync(
        ValueTask append, RecordDraft draft, long revision, long place, Departure? departure)
    {
        try
        {
            try
            {
                await append.ConfigureAwait(false);
            }
            catch
            {
                ShardedStore.Abandon(draft);
                throw;
            }

            store.PublishTombstone(new Utf8Key(draft.Record.Key), draft, revision, departure);
            departure?.Complete(new Utf8Key(draft.Record.Key));
        }
        finally
        {
            _settled.Settle(place);
        }

        ForgetTombstones();
    }

    private void Publish<TKey>(in TKey key, in RecordDraft draft, long revision, Departure? departure)
        where TKey : struct, IKey, allows ref struct
    {
        if (departure is null)
        {
            store.Publish(key, draft, revision);
        }
        else
        {
            store.Publish(key, draft, revision, departure);
            departure.Complete(key);
        }
    }

    // A walk over all tables, so only when a good part of them can be won.
    private void ForgetTombstones()
    {
        var tombstones = store.TombstoneCount;
        if (tombstones > TombstonesMin && tombstones > store.Count / 8 && Interlocked.Exchange(ref _isForgetting, 1) == 0)
        {
            long through;
            lock (_order)
            {
                // Here every revision that was taken has set out.
                through = Math.Min(store.Revision, _settled.Oldest() - 1);
            }

            store.ForgetTombstones(through);
            Volatile.Write(ref _isForgetting, 0);
        }
    }

    private void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }
    }
}
