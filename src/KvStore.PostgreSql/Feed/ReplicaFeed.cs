using System.Diagnostics;
using KvStore.PostgreSql.Connections;

namespace KvStore.PostgreSql.Feed;

/// <summary>Keeps the state in memory as new as the database: the difference of two snapshots at a time.</summary>
/// <remarks>
/// <para>A change is visible in the database when its transaction has ended, and transactions end in any order. So the feed does not go on
/// from a highest number. It asks for the changes of all transactions that the last snapshot did not show and the present one does, and
/// reads the present state of those keys. A key may have changed again by then, so the revision decides.</para>
/// <para>When the changes do not reach back to the last snapshot, or the server is another one or was started again, keys and
/// revisions of the whole namespace are compared. What is different is written beside the served state and swapped in at the end. A revision in
/// memory that the database does not have was lost by a failover or a restore. Then the entry of the database gets a new revision, so that
/// revisions only grow in every process.</para>
/// <para>Everything that was read is applied before the next question: so no older state of a key is on its way when deletes are
/// forgotten.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class ReplicaFeed(IFeedSource source, IKvEngineHost host) : IDisposable
{
    private const int KeysAtOnce = 1000;

    private readonly SemaphoreSlim _lock = new(1, 1);
    private string _snapshot = "";
    private string _identity = "";
    private long _highest;
    private long _resyncs;
    private long _askedAt;

    /// <summary>How often the whole namespace was compared.</summary>
    public long Resyncs => Volatile.Read(ref _resyncs);

    /// <summary>
    /// The timestamp at which the last question was asked that is answered and applied, the loading of all entries included: what is not applied
    /// was committed later.
    /// </summary>
    public long AskedAt => Volatile.Read(ref _askedAt);

    /// <summary>Loads all entries.</summary>
    public async ValueTask<FeedState> OpenAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var askedAt = TimeProvider.System.GetTimestamp();
            var state = await source.LoadAsync(host, cancellationToken).ConfigureAwait(false);
            host.Publish();
            (_snapshot, _identity) = (state.Snapshot, state.Identity);
            NoteRevision(state.LastRevision);
            Volatile.Write(ref _askedAt, askedAt);
            return state;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>The database has given this revision.</summary>
    public void NoteRevision(long revision)
    {
        var highest = Volatile.Read(ref _highest);
        while (revision > highest)
        {
            highest = Interlocked.CompareExchange(ref _highest, revision, highest) is var seen && seen == highest ? revision : seen;
        }
    }

    /// <summary>Applies everything that was committed before the call.</summary>
    /// <returns>How many keys of other processes changed.</returns>
    /// <exception cref="SequenceResetException">The revisions were set back.</exception>
    public async ValueTask<int> PollAsync(CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var askedAt = TimeProvider.System.GetTimestamp();
            var applied = await AskAsync(cancellationToken).ConfigureAwait(false);
            Debug.Assert(askedAt >= AskedAt, "One question after the other.");
            Volatile.Write(ref _askedAt, askedAt);
            return applied;
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Reads the present state of some keys and applies it, before the feed reaches them.</summary>
    public async ValueTask RefreshAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (var chunk in keys.Chunk(KeysAtOnce))
            {
                Apply(await source.ReadRowsAsync(chunk, cancellationToken).ConfigureAwait(false));
            }

            host.Publish();
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Closes the connection after a failure, when nobody uses it.</summary>
    public async ValueTask DropAsync(Link link)
    {
        await _lock.WaitAsync().ConfigureAwait(false);
        try
        {
            await link.DropAsync().ConfigureAwait(false);
        }
        finally
        {
            _lock.Release();
        }
    }

    public void Dispose() => _lock.Dispose();

    private async ValueTask<int> AskAsync(CancellationToken cancellationToken)
    {
        var highest = Volatile.Read(ref _highest);
        var changes = await source.ReadChangesAsync(_snapshot, cancellationToken).ConfigureAwait(false);
        if (changes.HasGap || changes.Identity != _identity)
        {
            return await ResyncAsync(cancellationToken).ConfigureAwait(false);
        }

        if (changes.LastRevision < highest)
        {
            throw new SequenceResetException(changes.LastRevision, highest);
        }

        var applied = await ApplyAsync(changes.Keys, cancellationToken).ConfigureAwait(false);
        _snapshot = changes.Snapshot;
        NoteRevision(changes.LastRevision);
        host.ForgetDeletes(highest);
        return applied;
    }

    private async ValueTask<int> ApplyAsync(IReadOnlyList<ChangedKey> changed, CancellationToken cancellationToken)
    {
        // What this process has written itself is there already.
        var missing = changed.Where(change => host.RevisionOf(change.Key.Span) < change.Revision).ToArray();
        foreach (var chunk in missing.Chunk(KeysAtOnce))
        {
            var rows = await source.ReadRowsAsync(Array.ConvertAll(chunk, static change => change.Key), cancellationToken).ConfigureAwait(false);
            Apply(rows);
            if (rows.Count < chunk.Length)
            {
                ApplyForgottenDeletes(chunk, rows);
            }
        }

        host.Publish();
        return missing.Length;
    }

    // A key without a row was deleted so long ago that the database has forgotten it: the last of its changes was the delete.
    private void ApplyForgottenDeletes(ChangedKey[] changed, IReadOnlyList<KvMutation> rows)
    {
        var found = rows.Select(static row => row.Key).ToHashSet(ByteKeys.Comparer);
        foreach (var change in changed)
        {
            if (!found.Contains(change.Key))
            {
                host.Apply(new KvMutation { Key = change.Key, Revision = change.Revision, IsDelete = true });
            }
        }
    }

    private void Apply(IReadOnlyList<KvMutation> rows)
    {
        foreach (var row in rows)
        {
            host.Apply(row);
            NoteRevision(row.Revision);
        }
    }

    private async ValueTask<int> ResyncAsync(CancellationToken cancellationToken)
    {
        await source.AdoptAsync(cancellationToken).ConfigureAwait(false);
        var comparison = new StateComparison(host);
        var state = await source.CompareAsync(comparison.Add, cancellationToken).ConfigureAwait(false);
        comparison.Complete();

        // Everything is written beside the served state first, and becomes visible at one moment.
        using var swap = host.BeginSwap();
        var changed = await CopyAsync(comparison.Outdated, swap, cancellationToken).ConfigureAwait(false);
        var lost = new List<ReadOnlyMemory<byte>>();
        foreach (var chunk in comparison.Suspects.Chunk(KeysAtOnce))
        {
            // What this process has published is in the database by now, if the database has not lost it.
            var present = (await source.ReadRowsAsync(Array.ConvertAll(chunk, static suspect => suspect.Key), cancellationToken).ConfigureAwait(false))
                .ToDictionary(static row => row.Key, ByteKeys.Comparer);
            foreach (var suspect in chunk)
            {
                if (!present.TryGetValue(suspect.Key, out var row))
                {
                    swap.Remove(suspect.Key.Span, suspect.Revision);
                    changed++;
                }
                else if (row.Revision >= suspect.Revision)
                {
                    Copy(row, swap);
                    changed++;
                }
                else
                {
                    lost.Add(suspect.Key);
                }
            }
        }

        var highest = Volatile.Read(ref _highest);
        if (lost.Count > 0 || state.LastRevision < highest)
        {
            await source.RaiseAsync(lost, highest, cancellationToken).ConfigureAwait(false);
            changed += await CopyAsync(lost, swap, cancellationToken).ConfigureAwait(false);
        }

        swap.Complete();
        Debug.Assert(state.Snapshot.Length > 0, "A state has a snapshot.");
        (_snapshot, _identity) = (state.Snapshot, state.Identity);
        NoteRevision(state.LastRevision);
        Interlocked.Increment(ref _resyncs);
        return changed;
    }

    private async ValueTask<int> CopyAsync(List<ReadOnlyMemory<byte>> keys, IKvEngineSwap swap, CancellationToken cancellationToken)
    {
        var copied = 0;
        foreach (var chunk in keys.Chunk(KeysAtOnce))
        {
            foreach (var row in await source.ReadRowsAsync(chunk, cancellationToken).ConfigureAwait(false))
            {
                Copy(row, swap);
                copied++;
            }
        }

        return copied;
    }

    private void Copy(in KvMutation row, IKvEngineSwap swap)
    {
        swap.Apply(row);
        NoteRevision(row.Revision);
    }
}
