using System.Globalization;
using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>
/// What the feed needs of PostgreSQL, as plainly as it can be written: transactions with numbers, rows that they lock, snapshots, and
/// the table of changes.
/// </summary>
internal sealed class ModelDatabase : IFeedSource
{
    private const long RaisedBy = 1L << 28;

    private readonly List<Transaction> _running = [];
    private SortedDictionary<string, Row> _rows = new(StringComparer.Ordinal);
    private List<(ulong Xid, long Revision, string Key)> _changes = [];
    private ulong _nextXid = 100;
    private ulong _floor = 100;
    private long _lastRevision;
    private int _starts;
    private bool _isAdopted;

    // The clock goes on when the data is set back.
    private long _seconds;

    /// <summary>Fails the call after so many more; 0 for never.</summary>
    public int FailsAfter { get; set; }

    /// <summary>Every version that was ever committed, by key and revision; null for a delete.</summary>
    public Dictionary<(string Key, long Revision), string?> History { get; } = [];

    public IReadOnlyList<Transaction> Running => _running;

    public IReadOnlyDictionary<string, Row> Rows => _rows;

    public Transaction Begin()
    {
        // A transaction that finds that it is the first one of this server is begun again.
        AdoptIfNeeded();
        var transaction = new Transaction(_nextXid++);
        _running.Add(transaction);
        return transaction;
    }

    public bool IsLocked(string key) => _running.Exists(transaction => transaction.Writes.ContainsKey(key));

    /// <summary>Writes a row, which is visible when the transaction is committed. Requires: no other transaction has written it.</summary>
    public long Write(Transaction transaction, string key, string? value)
    {
        var revision = ++_lastRevision;
        transaction.Writes[key] = new Row(revision, value);
        transaction.Revisions.Add((revision, key));
        return revision;
    }

    public void Commit(Transaction transaction)
    {
        _running.Remove(transaction);
        foreach (var (key, row) in transaction.Writes)
        {
            _rows[key] = row;
            History[(key, row.Revision)] = row.Value;
        }

        foreach (var (revision, key) in transaction.Revisions)
        {
            _changes.Add((transaction.Xid, revision, key));
        }
    }

    public void RollBack(Transaction transaction) => _running.Remove(transaction);

    /// <summary>The changes so far are removed.</summary>
    public void DropChanges()
    {
        _floor = _changes.Count == 0 ? _floor : Math.Max(_floor, _changes.Max(change => change.Xid) + 1);
        _changes.Clear();
    }

    /// <summary>The deletes that no transaction is about to replace are forgotten.</summary>
    public void ForgetDeletes()
    {
        foreach (var key in _rows.Where(row => row.Value.Value is null && !IsLocked(row.Key)).Select(row => row.Key).ToList())
        {
            _rows.Remove(key);
        }
    }

    /// <summary>The server is started again: what was not committed is gone.</summary>
    public void Restart()
    {
        _running.Clear();
        _starts++;
        _isAdopted = false;
    }

    /// <summary>Keeps the present state, for <see cref="SetBack"/>.</summary>
    public Saved Save() => new(new SortedDictionary<string, Row>(_rows, StringComparer.Ordinal), [.. _changes], _nextXid, _floor, _lastRevision);

    /// <summary>Another server takes over, which has not received the last transactions.</summary>
    public void SetBack(Saved saved)
    {
        Restart();
        _rows = new SortedDictionary<string, Row>(saved.Rows, StringComparer.Ordinal);
        _changes = [.. saved.Changes];
        (_nextXid, _floor, _lastRevision) = (saved.NextXid, saved.Floor, saved.LastRevision);
    }

    public ValueTask<FeedState> LoadAsync(IKvEngineHost host, CancellationToken cancellationToken)
    {
        FailIfDue();
        foreach (var (key, row) in _rows.Where(row => row.Value.Value is not null))
        {
            host.Apply(MutationOf(key, row));
        }

        return new(State());
    }

    public ValueTask<FeedChanges> ReadChangesAsync(string previousSnapshot, CancellationToken cancellationToken)
    {
        FailIfDue();
        var previous = Snapshot.Parse(previousSnapshot);
        var state = State();
        var keys = _changes
            .Where(change => change.Xid >= previous.Min && !previous.Shows(change.Xid))
            .GroupBy(change => change.Key, StringComparer.Ordinal)
            .Select(changes => new ChangedKey(ModelHost.BytesOf(changes.Key), changes.Max(change => change.Revision)))
            .ToList();
        return new(new FeedChanges(state.Snapshot, state.Identity, state.LastRevision, _floor > previous.Min, keys));
    }

    public ValueTask<IReadOnlyList<KvMutation>> ReadRowsAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, CancellationToken cancellationToken)
    {
        FailIfDue();
        return new((IReadOnlyList<KvMutation>)
        [
            .. keys.Select(ModelHost.TextOf).Where(_rows.ContainsKey).Select(key => MutationOf(key, _rows[key])),
        ]);
    }

    public ValueTask<FeedState> CompareAsync(Action<byte[], long> show, CancellationToken cancellationToken)
    {
        FailIfDue();
        foreach (var (key, row) in _rows)
        {
            show(ModelHost.BytesOf(key), row.Revision);
        }

        return new(State());
    }

    public ValueTask AdoptAsync(CancellationToken cancellationToken)
    {
        FailIfDue();
        AdoptIfNeeded();
        return default;
    }

    public ValueTask RaiseAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, long above, CancellationToken cancellationToken)
    {
        FailIfDue();
        if (keys.Any(key => IsLocked(ModelHost.TextOf(key))))
        {
            throw new IOException("The wait for the lock of a row took too long.");
        }

        _lastRevision = Math.Max(_lastRevision, above + 1000);
        var transaction = Begin();
        foreach (var key in keys.Select(ModelHost.TextOf))
        {
            if (_rows.TryGetValue(key, out var row) && row.Revision <= above)
            {
                Write(transaction, key, row.Value);
            }
        }

        Commit(transaction);
        return default;
    }

    private static KvMutation MutationOf(string key, Row row) => new()
    {
        Key = ModelHost.BytesOf(key),
        Revision = row.Revision,
        IsDelete = row.Value is null,
        Value = row.Value is null ? default : ModelHost.BytesOf(row.Value),
    };

    private void AdoptIfNeeded()
    {
        if (!_isAdopted)
        {
            _lastRevision = Math.Max(_lastRevision + RaisedBy, ++_seconds * RaisedBy);
            _isAdopted = true;
        }
    }

    private FeedState State() => new(
        new Snapshot(_running.Count == 0 ? _nextXid : _running.Min(transaction => transaction.Xid), _nextXid, [.. _running.Select(transaction => transaction.Xid)]).ToString(),
        $"start {_starts}", _lastRevision, Entries: 0);

    private void FailIfDue()
    {
        if (FailsAfter > 0 && --FailsAfter == 0)
        {
            throw new IOException("The connection is lost.");
        }
    }

    internal sealed class Transaction(ulong xid)
    {
        public ulong Xid => xid;

        public Dictionary<string, Row> Writes { get; } = new(StringComparer.Ordinal);

        public List<(long Revision, string Key)> Revisions { get; } = [];
    }

    /// <summary>A row; without a value, the key was deleted.</summary>
    internal sealed record Row(long Revision, string? Value);

    internal sealed record Saved(
        SortedDictionary<string, Row> Rows, List<(ulong Xid, long Revision, string Key)> Changes, ulong NextXid, ulong Floor, long LastRevision);

    private sealed record Snapshot(ulong Min, ulong Max, ulong[] Running)
    {
        public static Snapshot Parse(string text)
        {
            var parts = text.Split(':');
            return new Snapshot(
                ulong.Parse(parts[0], CultureInfo.InvariantCulture),
                ulong.Parse(parts[1], CultureInfo.InvariantCulture),
                [.. parts[2].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(xid => ulong.Parse(xid, CultureInfo.InvariantCulture))]);
        }

        public bool Shows(ulong xid) => xid < Max && !Running.Contains(xid);

        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Min}:{Max}:{string.Join(',', Running)}");
    }
}
