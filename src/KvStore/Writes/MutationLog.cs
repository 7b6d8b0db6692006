using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>
/// Puts mutations in order, hands them to the persistence provider in that order, and publishes each when it is durable.
/// </summary>
/// <remarks>
/// <para>A revision is taken and the mutation appended under one lock, that of <see cref="CallOrder"/>: the order of revisions is
/// the order of the log. What the provider takes at once is published under the same lock. What has to wait is published when its
/// turn comes, in whatever order that happens: the highest revision of a key wins.</para>
/// <para>A mutation has all of its memory before it is appended: its record, its place among the mutations in flight, the object
/// that publishes it, and room in the index. After the append nothing can fail but the append.</para>
/// <para>A delete needs no tombstone when no older mutation is in flight. Tombstones are forgotten once they are many and nothing
/// older can arrive.</para>
/// <para>A delete of a key that the store does not know is not appended, unless entries were forgotten because they had expired:
/// the provider may still have the put, and a clock that is set back would show it again.</para>
/// <para>A mutation that loses because of a wrong clock, against one that its region has not heard of, is not appended: it
/// is never the newest, and what is recovered is the winner.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class MutationLog(string name, ShardedStore store, IKvPersistence persistence, CallOrder calls, WriteAdmission? admission)
{
    private const int TombstonesMin = 1024;
    private const int PooledMax = 4096;

    private readonly SettledRevisions _settled = new();
    private readonly Lock _poolLock = new();
    private PendingPublication? _firstPooled;
    private int _pooledCount;
    private bool _isClosed;
    private int _isForgetting;

    /// <summary>Keeps large values outside memory; null when the provider does not.</summary>
    public IKvLargeValues? LargeValues => persistence.LargeValues;

    /// <summary>Whether the provider may have shown, as a delete, a put that had expired when it was opened.</summary>
    public required bool HasRecoveredDeletes { get; init; }

    /// <summary>What stands behind it.</summary>
    public IKvPersistence Persistence => persistence;

    /// <summary>Makes a put durable, then visible. The draft is given up when that fails.</summary>
    /// <param name="key">The key.</param>
    /// <param name="draft">The record.</param>
    /// <param name="departure">Where the put is made; null where nothing is replicated.</param>
    /// <param name="call">The put in the order of the calls, where its value took time to read; it must not be overtaken.</param>
    public ValueTask PutAsync<TKey>(in TKey key, in RecordDraft draft, Departure? departure = null, PendingCall? call = null)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(call is null || calls.Lock.IsHeldByCurrentThread, "Whether it was overtaken is decided under the lock.");
        ValueTask append;
        PendingPublication? pending = null;
        Overtaking? overtaking = null;
        var isPublished = false;
        try
        {
            lock (calls.Lock)
            {
                ThrowIfClosed();
                admission?.CheckPut(key, draft.Record.LiveBytes);
                overtaking = Overtake(key, call);
                if (departure is not null && !departure.Decide(key))
                {
                    admission?.NoteWrite(key);
                    Publish(key, draft, revision: 0, departure, ref isPublished);
                    overtaking?.Complete(isMade: true);
                    return default;
                }

                pending = Prepare(key.Hash);
                var revision = store.TakeRevision();
                append = persistence.AppendAsync(draft.Record.ToMutation(revision));
                if (append.IsCompleted)
                {
                    append.GetAwaiter().GetResult();
                    admission?.NoteWrite(key);
                    Publish(key, draft, revision, departure, ref isPublished);
                    overtaking?.Complete(isMade: true);
                    Return(pending);
                    return default;
                }

                pending.Prepare(draft, revision, _settled.Begin(revision), isDelete: false, departure, overtaking);
                admission?.NoteWrite(key);
                admission?.Begin(pending);
            }
        }
        catch (Exception e)
        {
            overtaking?.Complete(isMade: false);
            if (pending is not null)
            {
                Return(pending);
            }

            var failure = NamedEntry.WithNames(e, "PUT", name, draft.Record.Key);
            if (!isPublished)
            {
                GiveUp(draft);
            }

            if (ReferenceEquals(failure, e))
            {
                throw;
            }

            throw failure;
        }

        return pending.RunAsync(append);
    }

    /// <summary>
    /// The same for a put whose value took time to read. One that was overtaken meanwhile is not made; it completes with the
    /// mutation that overtook it, or is made when that fails.
    /// </summary>
    public async ValueTask PutInTurnAsync(PendingCall call, RecordDraft draft, Departure? departure)
    {
        while (true)
        {
            Overtaking? overtaking;
            ValueTask put = default;
            lock (calls.Lock)
            {
                overtaking = call.OvertakenBy;
                if (overtaking is null)
                {
                    put = PutAsync(new Utf8Key(draft.Record.Key), draft, departure, call);
                }
            }

            if (overtaking is null)
            {
                await put.ConfigureAwait(false);
                return;
            }

            if (await overtaking.Outcome.ConfigureAwait(false))
            {
                Lose(draft, departure);
                return;
            }

            lock (calls.Lock)
            {
                call.OvertakenBy = call.OvertakenBy == overtaking ? null : call.OvertakenBy;
            }
        }
    }

    /// <summary>Makes a delete durable, then visible.</summary>
    public ValueTask DeleteAsync<TKey>(in TKey key, Departure? departure = null)
        where TKey : struct, IKey, allows ref struct
    {
        ValueTask append;
        PendingPublication? pending = null;
        Overtaking? overtaking = null;
        RecordDraft draft = default;
        try
        {
            lock (calls.Lock)
            {
                ThrowIfClosed();
                admission?.CheckDelete(key);
                overtaking = Overtake(key, call: null);
                var isAlone = _settled.IsIdle;
                if (isAlone && !MayBeKept(key) && departure?.IsInFlight(key) != true)
                {
                    admission?.NoteWrite(key);
                    overtaking?.Complete(isMade: true);
                    return default;
                }

                if (departure is not null && !departure.Decide(key))
                {
                    admission?.NoteWrite(key);
                    store.Delete(key, departure);
                    departure.Complete(key);
                    overtaking?.Complete(isMade: true);
                    return default;
                }

                draft = store.Draft(key, metadataBytes: 0, valueBytes: 0, deadline: default);
                pending = Prepare(key.Hash);
                var revision = store.TakeRevision();
                append = persistence.AppendAsync(draft.Record.ToMutation(revision) with { IsDelete = true });
                if (append.IsCompletedSuccessfully && isAlone)
                {
                    append.GetAwaiter().GetResult();
                    admission?.NoteWrite(key);
                    ShardedStore.Abandon(draft);
                    draft = default;
                    store.Delete(key, departure);
                    departure?.Complete(key);
                    overtaking?.Complete(isMade: true);
                    Return(pending);
                    return default;
                }

                pending.Prepare(draft, revision, _settled.Begin(revision), isDelete: true, departure, overtaking);
                admission?.NoteWrite(key);
                admission?.Begin(pending);
            }
        }
        catch (Exception e)
        {
            overtaking?.Complete(isMade: false);
            if (pending is not null)
            {
                Return(pending);
            }

            var failure = e;
            if (draft.Segment is not null)
            {
                failure = NamedEntry.WithNames(e, "DELETE", name, draft.Record.Key);
                ShardedStore.Abandon(draft);
            }

            if (ReferenceEquals(failure, e))
            {
                throw;
            }

            throw failure;
        }

        return pending.RunAsync(append);
    }

    /// <summary>Completes when every mutation up to a revision that was appended is visible, or has failed.</summary>
    public Task WhenSettledAsync(long throughRevision)
    {
        lock (calls.Lock)
        {
            // Every mutation that was appended before is among those in flight now.
        }

        return _settled.WhenSettledAsync(throughRevision);
    }

    /// <summary>Takes no more mutations, makes durable what was taken, and closes the provider.</summary>
    public async ValueTask CloseAsync()
    {
        lock (calls.Lock)
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

    /// <summary>The exception that the caller of a mutation gets.</summary>
    internal Exception Named(PendingPublication pending, Exception failure) =>
        NamedEntry.WithNames(failure, pending.IsDelete ? "DELETE" : "PUT", name, pending.Draft.Record.Key);

    /// <summary>Publishes a mutation whose append has completed, or gives it up. Called once for each that is in flight.</summary>
    internal void Finish(PendingPublication pending, Exception? failure)
    {
        var isPublished = false;
        try
        {
            if (admission is not null)
            {
                lock (calls.Lock)
                {
                    // In one step, so that the mutation counts once: as one in flight, or as one that is visible.
                    admission.End(pending);
                    if (failure is null)
                    {
                        Publish(pending, ref isPublished);
                    }
                }
            }
            else if (failure is null)
            {
                Publish(pending, ref isPublished);
            }
        }
        finally
        {
            if (!isPublished)
            {
                GiveUp(pending.Draft);
            }

            _settled.Settle(pending.Place);
            pending.Overtaking?.Complete(isMade: isPublished);
        }

        if (pending.IsDelete && isPublished)
        {
            ForgetTombstones();
        }
    }
    /// <summary>Takes an object back for the next mutation.</summary>
    internal void Return(PendingPublication pending)
    {
        lock (_poolLock)
        {
            if (_pooledCount < PooledMax)
            {
                pending.Next = _firstPooled;
                _firstPooled = pending;
                _pooledCount++;
            }
        }
    }

    // Everything that the next mutation needs besides its record. Before the append, because after it nothing may fail.
    private PendingPublication Prepare(ulong hash)
    {
        Debug.Assert(calls.Lock.IsHeldByCurrentThread);
        admission?.Reserve();
        store.ReserveIndex(hash, (int)_settled.Reserve() + 1);
        lock (_poolLock)
        {
            if (_firstPooled is { } pending)
            {
                _firstPooled = pending.Next;
                _pooledCount--;
                pending.Next = null;
                return pending;
            }
        }

        AllocationProbe.Before();
        return new PendingPublication(this);
    }

    // In this order: the store says that it forgets before it does.
    private bool MayBeKept<TKey>(in TKey key)
        where TKey : struct, IKey, allows ref struct => store.Knows(key) || HasRecoveredDeletes || store.HasRemovedExpired;

    private Overtaking? Overtake<TKey>(in TKey key, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        if (calls.IsEmpty || !calls.WouldOvertake(key, call))
        {
            return null;
        }

        AllocationProbe.Before();
        var overtaking = new Overtaking();
        calls.Overtake(key, call, overtaking);
        return overtaking;
    }

    // The put counts as made before the mutation that overtook it: a region that has not heard of that one sees the put until then.
    private void Lose(in RecordDraft draft, Departure? departure)
    {
        if (departure is null)
        {
            GiveUp(draft);
            return;
        }

        departure.Lose();
        var isPublished = false;
        Publish(new Utf8Key(draft.Record.Key), draft, revision: 0, departure, ref isPublished);
    }

    private void Publish(PendingPublication pending, ref bool isPublished)
    {
        var key = new Utf8Key(pending.Draft.Record.Key);
        if (pending.IsDelete)
        {
            store.PublishTombstone(key, pending.Draft, pending.Revision, pending.Departure);
            isPublished = true;
            pending.Departure?.Complete(key);
        }
        else
        {
            Publish(key, pending.Draft, pending.Revision, pending.Departure, ref isPublished);
        }
    }

    // The draft belongs to the store as soon as it was published, whatever fails afterwards.
    private void Publish<TKey>(in TKey key, in RecordDraft draft, long revision, Departure? departure, ref bool isPublished)
        where TKey : struct, IKey, allows ref struct
    {
        if (departure is null)
        {
            store.Publish(key, draft, revision);
            isPublished = true;
        }
        else
        {
            store.Publish(key, draft, revision, departure);
            isPublished = true;
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
            lock (calls.Lock)
            {
                // Here every revision that was taken is in flight or settled.
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
