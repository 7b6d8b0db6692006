using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Records;
using KvStore.Watching;

namespace KvStore.Reads;

/// <summary>Turns what a watcher noted into changes for one caller.</summary>
/// <remarks>
/// <para>Changes are shown in rounds: everything that is pending is taken, and shown in the order of the revisions. Mutations are published
/// out of order, so before a round is shown, <see cref="SettleAsync"/> waits until every mutation up to its highest revision is visible or
/// has failed, and what came meanwhile joins the round. So when a change is shown, all changes with lower revisions were shown, or their
/// keys have changed again since: a watch that goes on after its revision misses nothing. A key that changes all the time is shown once in
/// each round.</para>
/// <para>The records of a round are looked up a few at a time, so that a caller who stops reading keeps few segments alive. A round of a few
/// changes is looked up before it settles, and shows exactly the records of its revisions. In a longer round, a key that has changed again
/// since is shown as it is now, with the revision of the round; the newer change is then not shown again.</para>
/// <para>What is there at the beginning is shown in the order of the keys, which is not the order of the revisions: the revision of
/// those changes is 0. The changes of that time follow, without those of which the record was shown.</para>
/// <para>Thread safety: one caller.</para>
/// </remarks>
internal sealed class ChangeReader(ShardedStore store, ReadPath reads, Func<long, Task> whenSettledAsync, Watcher watcher)
{
    private const int LookedUpAtOnce = 32;
    private const int ScannedAtOnce = 128;
    private const int ComparedAtOnce = 1024;

    // Looked up, to be shown next.
    private readonly Queue<FoundChange> _found = new();

    // The records that were shown in place of older ones; their own changes are pending, or come at once.
    private readonly HashSet<long> _shownAhead = [];
    private PendingChange[] _round = [];
    private int _next;
    private long _lastRevision;
    private long _scanRevision;
    private byte[]? _scannedThrough;

    private WatchedKeys Keys => watcher.Keys;

    private bool IsScanning => _scannedThrough is not null;

    /// <summary>Begins.</summary>
    /// <param name="start">Whether what is there is shown first.</param>
    /// <param name="afterRevision">Where to go on; null to begin anew.</param>
    /// <param name="cancellationToken">Cancels the wait for the disk.</param>
    public async ValueTask BeginAsync(KvWatchStart start, long? afterRevision, CancellationToken cancellationToken)
    {
        try
        {
            if (afterRevision is { } after)
            {
                await GoOnAsync(after, cancellationToken).ConfigureAwait(false);
            }
            else if (start == KvWatchStart.Current)
            {
                _scannedThrough = [];
            }
        }
        catch (ObjectDisposedException)
        {
            // The namespace is disposed: the watch ends with the next read.
        }
    }

    /// <summary>Waits for changes, for <see cref="TryNext"/>.</summary>
    /// <returns>False when the namespace is disposed.</returns>
    public async ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (_found.Count == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (watcher.IsClosed)
                {
                    return false;
                }

                if (watcher.HasLost)
                {
                    Reset();
                }
                else if (IsScanning)
                {
                    await ScanAsync(cancellationToken).ConfigureAwait(false);
                }
                else if (_next < _round.Length)
                {
                    LookUp();
                }
                else
                {
                    await watcher.WhenChangedAsync(cancellationToken).ConfigureAwait(false);
                    await TakeAsync(cancellationToken).ConfigureAwait(false);
                }
            }

            return true;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>The next change that was read.</summary>
    public bool TryNext(out KvChange change)
    {
        while (!watcher.IsClosed && _found.TryDequeue(out var found))
        {
            if (found.Record.IsNone)
            {
                change = new KvChange { Kind = found.Kind, Key = found.Key is { } key ? Utf8Text.Decode(key) : "", Revision = ShownRevision(found) };
                return true;
            }

            // A large value may be gone since; then the key has changed again. That is pending, or shown now in the place of the old one.
            if (ValueOf(found.Record) is { Exists: true } value && (value.Revision == found.Record.Revision || TryShowInScan(found, value)))
            {
                change = new KvChange
                {
                    Kind = KvChangeKind.Put,
                    Key = Utf8Text.Decode(found.Record.Key),
                    Revision = ShownRevision(found),
                    Value = value,
                };
                return true;
            }
        }

        change = default;
        return false;
    }

    private bool TryShowInScan(in FoundChange found, in KvValue value)
    {
        if (found.Revision != 0)
        {
            value.Dispose();
            return false;
        }

        store.PassShards();
        watcher.Forget(KeyHash.OfUtf8(found.Record.Key), value.Revision);
        return true;
    }

    private KvValue ValueOf(Record record)
    {
        try
        {
            return record.IsLarge ? reads.ViewLarge(new Utf8Key(record.Key), record) : record.ToValue();
        }
        catch (ObjectDisposedException)
        {
            return default;
        }
    }

    private long ShownRevision(in FoundChange found)
    {
        if (found.Revision == 0)
        {
            return 0;
        }

        // Removals that are no mutations, and mutations of other processes, may come after a higher revision.
        _lastRevision = Math.Max(_lastRevision, found.Revision);
        return _lastRevision;
    }

    // What was shown is void. What is noted from now on follows the scan.
    private void Reset()
    {
        watcher.BeginAnew();
        _found.Clear();
        _shownAhead.Clear();
        (_round, _next) = ([], 0);
        _scannedThrough = [];
        _found.Enqueue(new FoundChange(KvChangeKind.Reset, Revision: 0, Key: null, default));
    }

    private async ValueTask GoOnAsync(long after, CancellationToken cancellationToken)
    {
        var through = store.Revision;
        await SettleAsync(through, cancellationToken).ConfigureAwait(false);
        var changes = new List<PendingChange>();
        if (after > through || store.Changes.ResumeAfter(after) is not { } from || !store.TryCollectRemovals(from, Keys, changes))
        {
            Reset();
            return;
        }

        CollectPuts(from, changes, cancellationToken);
        _lastRevision = after;
        await BeginRoundAsync(changes, through, cancellationToken).ConfigureAwait(false);
    }

    private void CollectPuts(long after, List<PendingChange> changes, CancellationToken cancellationToken)
    {
        AllocationProbe.Before();
        var records = new Record[Keys.IsOneKey ? 1 : ComparedAtOnce];
        byte[] last = [];
        int count;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            count = List(last, records);
            foreach (var record in records.AsSpan(0, count))
            {
                if (record.Revision > after)
                {
                    changes.Add(new PendingChange(KeyHash.OfUtf8(record.Key), record.Revision, KvChangeKind.Put, Key: null));
                }
            }

            last = count == 0 ? last : records[count - 1].Key.ToArray();
        }
        while (!Keys.IsOneKey && count == records.Length);
    }

    private async ValueTask ScanAsync(CancellationToken cancellationToken)
    {
        if (_scannedThrough!.Length == 0)
        {
            _scanRevision = store.Revision;
            await SettleAsync(_scanRevision, cancellationToken).ConfigureAwait(false);
        }

        var records = new Record[Keys.IsOneKey ? 1 : ScannedAtOnce];
        var count = List(_scannedThrough, records);

        // Whatever is visible has been noted then, and need not be shown twice.
        store.PassShards();
        foreach (var record in records.AsSpan(0, count))
        {
            watcher.Forget(KeyHash.OfUtf8(record.Key), record.Revision);
            _found.Enqueue(new FoundChange(KvChangeKind.Put, Revision: 0, Key: null, record));
        }

        if (Keys.IsOneKey || count < records.Length)
        {
            _scannedThrough = null;
            _found.Enqueue(new FoundChange(KvChangeKind.Current, _scanRevision, Key: null, default));
        }
        else
        {
            _scannedThrough = records[count - 1].Key.ToArray();
        }
    }

    private int List(byte[] after, Span<Record> records)
    {
        if (Keys.IsOneKey)
        {
            return store.TryFind(new Utf8Key(Keys.Utf8), out records[0]) ? 1 : 0;
        }

        return store.List(Keys.Utf8, after, records);
    }

    private async ValueTask TakeAsync(CancellationToken cancellationToken)
    {
        if (_shownAhead.Count > 0)
        {
            // What was visible has been noted then, and is among what is taken.
            store.PassShards();
        }

        var taken = watcher.Take();
        if (taken.Length == 0)
        {
            return;
        }

        if (_shownAhead.Count > 0)
        {
            taken = Array.FindAll(taken, change => change.Kind != KvChangeKind.Put || !_shownAhead.Contains(change.Revision));
            _shownAhead.Clear();
        }

        if (taken.Length > LookedUpAtOnce)
        {
            await BeginRoundAsync([.. taken], taken[^1].Revision, cancellationToken).ConfigureAwait(false);
            return;
        }

        var found = new List<FoundChange>(taken.Length);
        FindAll(taken, long.MaxValue, found);
        if (found.Count == 0)
        {
            return;
        }

        var through = found.Max(static change => change.Revision);
        await SettleAsync(through, cancellationToken).ConfigureAwait(false);
        FindAll(watcher.TakeThrough(through), through, found);
        found.Sort(static (left, right) => left.Revision.CompareTo(right.Revision));
        var lastPut = 0L;
        foreach (var change in found)
        {
            // A put that was found by an older revision before it was noted comes twice.
            if (change.Kind != KvChangeKind.Put || change.Revision != lastPut)
            {
                _found.Enqueue(change);
            }

            lastPut = change.Kind == KvChangeKind.Put ? change.Revision : lastPut;
        }
    }

    // An entry that has expired is not shown any more: that it is gone will be.
    private bool TryFind(in PendingChange change, out Record record) =>
        store.TryFindRevision(change.Hash, change.Revision, out record) && !store.HasPassed(record.Deadline);

    // A record with a higher revision than that is pending by itself.
    private void FindAll(IEnumerable<PendingChange> changes, long throughRevision, List<FoundChange> found)
    {
        foreach (var change in changes)
        {
            if (change.Kind != KvChangeKind.Put)
            {
                found.Add(new FoundChange(change.Kind, change.Revision, change.Key, default));
            }
            else if (TryFind(change, out var record) && record.Revision <= throughRevision)
            {
                found.Add(new FoundChange(KvChangeKind.Put, record.Revision, Key: null, record));
            }
        }
    }

    private async ValueTask BeginRoundAsync(List<PendingChange> changes, long throughRevision, CancellationToken cancellationToken)
    {
        // What was collected may be newer than the moment at which that began.
        var through = throughRevision;
        foreach (var change in changes)
        {
            through = Math.Max(through, change.Revision);
        }

        await SettleAsync(through, cancellationToken).ConfigureAwait(false);
        changes.AddRange(watcher.TakeThrough(through));
        changes.Sort(PendingChange.ByRevision);
        var last = default(PendingChange);
        changes.RemoveAll(change =>
        {
            var isRepeat = change.Revision == last.Revision && change.Hash == last.Hash;
            last = change;
            return isRepeat;
        });
        (_round, _next) = ([.. changes], 0);
    }

    private void LookUp()
    {
        for (var end = Math.Min(_round.Length, _next + LookedUpAtOnce); _next < end; _next++)
        {
            var change = _round[_next];
            if (change.Kind == KvChangeKind.Put && _shownAhead.Contains(change.Revision))
            {
                continue;
            }

            if (change.Kind != KvChangeKind.Put)
            {
                _found.Enqueue(new FoundChange(change.Kind, change.Revision, change.Key, default));
            }
            else if (TryFind(change, out var record) && (record.Revision == change.Revision || _shownAhead.Add(record.Revision)))
            {
                // A round that goes on may have two changes of a key, which both find the newest record.
                _found.Enqueue(new FoundChange(KvChangeKind.Put, change.Revision, Key: null, record));
            }
        }

        if (_next == _round.Length)
        {
            (_round, _next) = ([], 0);
        }
    }

    // Everything up to a revision is visible or has failed, and was noted, when this completes.
    private ValueTask SettleAsync(long throughRevision, CancellationToken cancellationToken)
    {
        return store.Changes.SettledThrough >= throughRevision ? default : WaitAsync();

        async ValueTask WaitAsync()
        {
            await whenSettledAsync(throughRevision).WaitAsync(cancellationToken).ConfigureAwait(false);
            store.PassShards();
            store.Changes.NoteSettled(throughRevision);
        }
    }

    // Where the record is none, the key is gone, or the change is a mark.
    private readonly record struct FoundChange(KvChangeKind Kind, long Revision, byte[]? Key, Record Record);
}
