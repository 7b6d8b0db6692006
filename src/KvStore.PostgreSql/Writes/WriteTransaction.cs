using System.Diagnostics;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using Npgsql;
using NpgsqlTypes;
using static KvStore.PostgreSql.Writes.StatementBatch;

namespace KvStore.PostgreSql.Writes;

/// <summary>The writes of one transaction, which is sent in one round trip; with many puts, in a few.</summary>
/// <remarks>
/// <para>The rows of all keys are written, or locked, in the order of the keys, so that the transactions of several processes wait for each
/// other and do not block each other for ever. The revision is taken in the update, under the lock of the row, so that it grows for
/// each key in the order of the commits.</para>
/// <para>The entries of one call that puts many get revisions in their order, and so are written in it. Their rows are locked first,
/// where there are any. Two processes that put the same new keys in different orders block each other; the server ends that within a
/// second, and the transaction is tried again.</para>
/// <para>Many puts at once take their revisions together, in the order of the puts. Rows that exist are locked before that, and are
/// updated. The other entries are copied into the table in the order of their keys. That fails where a key has a row
/// after all: then the transaction is rolled back and tried again.</para>
/// <para>A deleted key keeps its row. An insert takes its revision before it looks for a row, so without a row it could write a lower
/// revision than a delete that it waited for.</para>
/// <para>Not thread-safe.</para>
/// </remarks>
internal sealed class WriteTransaction
{
    private readonly WriteStatements _statements;
    private readonly int _number;
    private readonly DatabaseClock _clock;
    private readonly List<QueuedWrite> _puts = [];
    private readonly List<QueuedWrite> _absents = [];
    private readonly List<QueuedWrite> _replacements = [];
    private readonly List<QueuedWrite> _deletes = [];
    private readonly List<QueuedWrite> _touches = [];
    private readonly List<QueuedWrite> _conditionals = [];
    private readonly List<QueuedWrite> _larges = [];
    private readonly bool _hasGroup;

    // Whether memory knows all keys of the puts, which then have rows unless those were swept or removed meanwhile.
    private readonly bool _haveRows;
    private readonly ManyPuts? _many;
    private volatile bool _isAbandoned;

    /// <param name="statements">The statements.</param>
    /// <param name="number">The number of the namespace.</param>
    /// <param name="clock">The clock of the database.</param>
    /// <param name="writes">The writes, one for each key.</param>
    /// <param name="isKnown">Whether memory has a key.</param>
    /// <param name="refusals">How often it failed before, because keys had rows that memory does not know or had none, or on another server.</param>
    public WriteTransaction(
        WriteStatements statements, int number, DatabaseClock clock, IReadOnlyList<QueuedWrite> writes, Func<QueuedWrite, bool> isKnown, int refusals = 0)
    {
        (_statements, _number, _clock, Writes) = (statements, number, clock, writes);
        foreach (var queued in writes)
        {
            ref readonly var write = ref queued.Write;
            _hasGroup |= write.Group is not null;
            if (!queued.IsPlainPut)
            {
                _conditionals.Add(queued);
            }

            if (write.Operation == KvEngineOperation.Put && LargeOf(queued) is not null)
            {
                _larges.Add(queued);
            }

            (write.Operation switch
            {
                KvEngineOperation.Delete => _deletes,
                KvEngineOperation.Touch => _touches,
                KvEngineOperation.Check => null,
                _ => queued.IsPlainPut ? _puts : write.RevisionMin == 0 ? _absents : _replacements,
            })?.Add(queued);
        }

        _haveRows = refusals == 0 && _puts.TrueForAll(write => isKnown(write));
        _many = _puts.Count >= ManyPuts.From && refusals <= ManyPuts.RefusalsMax
            ? new ManyPuts(statements, number, clock, _puts, expectsRows: refusals > 0 || _haveRows || _puts.Exists(write => isKnown(write)))
            : null;
    }

    /// <summary>The writes, one for each key.</summary>
    public IReadOnlyList<QueuedWrite> Writes { get; }

    /// <summary>The number under which a process that has lost its connection finds out whether the transaction was committed.</summary>
    public Guid Id { get; private init; } = Guid.CreateVersion7();

    /// <summary>What was changed, by key.</summary>
    public Dictionary<ReadOnlyMemory<byte>, (long Revision, long Touched)> Made { get; } = new(ByteKeys.Comparer);

    /// <summary>The revision that each key of a conditional write had after the transaction; keys without an entry are left out.</summary>
    public Dictionary<ReadOnlyMemory<byte>, long> Standing { get; } = new(ByteKeys.Comparer);

    /// <summary>The same transaction without results, to read them back.</summary>
    public WriteTransaction Copy() => new(_statements, _number, _clock, Writes, static _ => true) { Id = Id };

    /// <summary>
    /// Nobody waits for <see cref="RunAsync"/> any more. It commits nothing that it reads from now on: the memory of the writes may be used for
    /// something else.
    /// </summary>
    public void Abandon() => _isAbandoned = true;

    /// <summary>Sends the transaction and reads the results. It is committed when this has completed.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="sent">The statements that the connection has had; null where statements cannot be prepared.</param>
    /// <param name="secondsMax">How long the server may take to answer.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask RunAsync(NpgsqlConnection connection, HashSet<string>? sent, int secondsMax, CancellationToken cancellationToken)
    {
        Made.Clear();
        Standing.Clear();
        if (_many is not null)
        {
            await RunManyAsync(_many, connection, sent, secondsMax, cancellationToken).ConfigureAwait(false);
            return;
        }

        using var batch = new StatementBatch(connection, secondsMax);
        if (_conditionals.Count == 0 && _larges.Count == 0 && (_puts.Count == 1 || !_hasGroup))
        {
            AddOnlyPuts(batch);
            await batch.SendAsync(sent, cancellationToken).ConfigureAwait(false);
            return;
        }

        AddBeginning(batch);
        if (_conditionals.Count > 0 || _hasGroup)
        {
            AddLock(batch, static _ => { });
        }

        AddPuts(batch, _puts, _hasGroup ? _statements.PutInOrderOfCalls : _statements.PutInOrderOfKeys);
        AddConditionals(batch);
        await batch.SendAsync(sent, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads what a transaction has changed that was committed when its connection was lost.</summary>
    public async ValueTask ReadBackAsync(NpgsqlConnection connection, int secondsMax, CancellationToken cancellationToken)
    {
        Made.Clear();
        Standing.Clear();
        using var batch = new StatementBatch(connection, secondsMax);
        batch.Add(ReadMade, _statements.ReadBack, Number(), Parameter(Id, NpgsqlDbType.Uuid));
        AddStanding(batch);
        await batch.SendAsync(sent: null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>How a write of the transaction ended.</summary>
    public KvEngineOutcome OutcomeOf(QueuedWrite queued)
    {
        var write = queued.Write;
        if (Made.TryGetValue(queued.Key, out var made))
        {
            return new KvEngineOutcome { Holds = true, IsMade = true, Revision = made.Revision, TouchedRevision = made.Touched };
        }

        var standing = Standing.GetValueOrDefault(queued.Key);
        var holds = standing >= write.RevisionMin && standing <= write.RevisionMax
            && (write.Operation is KvEngineOperation.Check || (write.Operation is KvEngineOperation.Delete && standing == 0));
        return new KvEngineOutcome { Holds = holds, StandingRevision = standing };
    }

    private static NpgsqlParameter RevisionMins(List<QueuedWrite> writes) => Array(writes, static write => write.Write.RevisionMin, NpgsqlDbType.Bigint);

    private static NpgsqlParameter RevisionMaxs(List<QueuedWrite> writes) => Array(writes, static write => write.Write.RevisionMax, NpgsqlDbType.Bigint);

    // What every transaction begins with: it fails on a server that is not adopted or lacks parts of a large value, and leaves its number.
    private void AddBeginning(StatementBatch batch)
    {
        batch.Add(static _ => { }, _statements.CheckServer);
        if (_larges.Count > 0)
        {
            batch.Add(
                static _ => { },
                _statements.CheckLargeValues,
                Array(_larges, static write => write.Mutation.LargeValue.Id, NpgsqlDbType.Bigint),
                Array(_larges, static write => write.Mutation.LargeValue.Length, NpgsqlDbType.Bigint));
        }

        batch.Add(read: null, _statements.AddCommit, Parameter(Id, NpgsqlDbType.Uuid));
    }

    // One statement: it does the server less work than several in one round trip, which one caller waits for and many callers share.
    private void AddOnlyPuts(StatementBatch batch)
    {
        Debug.Assert(_puts.Count == Writes.Count, "There is nothing but puts.");
        ReadOnlySpan<NpgsqlParameter> end = [Parameter(Id, NpgsqlDbType.Uuid), Parameter(_haveRows, NpgsqlDbType.Boolean)];
        if (_puts.Count == 1)
        {
            batch.Add(reader => Made[_puts[0].Key] = (reader.GetInt64(0), 0), _statements.PutOne, [.. EntryOf(_puts[0], _number, _clock), .. end]);
            return;
        }

        _puts.Sort(static (x, y) => x.Key.Span.SequenceCompareTo(y.Key.Span));
        batch.Add(ReadMany, _statements.PutAll, [.. EntriesOf(_puts, _number, _clock), .. end]);
    }

    private void AddConditionals(StatementBatch batch)
    {
        AddPuts(batch, _absents, _statements.PutAbsent, Now());
        AddPuts(batch, _replacements, _statements.Replace, Now(), RevisionMins(_replacements), RevisionMaxs(_replacements));
        AddDeletes(batch);
        AddTouches(batch);
        AddStanding(batch);
    }

    private async ValueTask RunManyAsync(ManyPuts many, NpgsqlConnection connection, HashSet<string>? sent, int secondsMax, CancellationToken cancellationToken)
    {
        try
        {
            using (var batch = new StatementBatch(connection, secondsMax))
            {
                batch.Add(read: null, "BEGIN");
                AddBeginning(batch);
                if (_conditionals.Count > 0 || many.ExpectsRows)
                {
                    AddLock(batch, many.NoteRow);
                }

                AddConditionals(batch);
                many.AddRevisions(batch);
                await batch.SendAsync(sent, cancellationToken).ConfigureAwait(false);
            }

            await many.CopyAsync(connection, cancellationToken).ConfigureAwait(false);
            using (var batch = new StatementBatch(connection, secondsMax))
            {
                many.AddRest(batch);
                batch.Add(read: null, "COMMIT");
                if (_isAbandoned)
                {
                    throw new OperationCanceledException("Nobody waits for the transaction any more.");
                }

                await batch.SendAsync(sent, cancellationToken).ConfigureAwait(false);
            }

            many.Complete(Made);
        }
        catch (PostgresException)
        {
            using var rollback = new NpgsqlCommand("ROLLBACK", connection) { CommandTimeout = secondsMax };
            await rollback.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            throw;
        }
    }

    private NpgsqlParameter Number() => Parameter(_number, NpgsqlDbType.Integer);

    private NpgsqlParameter Now() => Parameter(_clock.NowParameter, NpgsqlDbType.Bigint);

    /// <summary>The parameters <c>$1</c> to <c>$8</c> of statements that write entries.</summary>
    public static NpgsqlParameter[] EntriesOf(List<QueuedWrite> writes, int number, DatabaseClock clock) =>
    [
        Parameter(number, NpgsqlDbType.Integer),
        KeysOf(writes),
        Array(writes, static write => write.Mutation.Value.ToArray(), NpgsqlDbType.Bytea),
        Array(writes, static write => write.Mutation.Metadata is { IsEmpty: false } metadata ? metadata.ToArray() : null, NpgsqlDbType.Bytea),
        Array(writes, write => clock.ToDatabase(write.Mutation), NpgsqlDbType.Bigint),
        Array(writes, static write => write.Mutation.DeadlineRounding is not 0 and var rounding ? (short?)rounding : null, NpgsqlDbType.Smallint),
        Array(writes, static write => LargeOf(write)?.Id, NpgsqlDbType.Bigint),
        Array(writes, static write => LargeOf(write)?.Length, NpgsqlDbType.Bigint),
    ];

    private static NpgsqlParameter[] EntryOf(QueuedWrite write, int number, DatabaseClock clock) =>
    [
        Parameter(number, NpgsqlDbType.Integer),
        Parameter(write.Key.ToArray(), NpgsqlDbType.Bytea),
        Parameter(write.Mutation.Value.ToArray(), NpgsqlDbType.Bytea),
        Parameter(write.Mutation.Metadata.ToArray(), NpgsqlDbType.Bytea),
        Parameter(clock.ToDatabase(write.Mutation), NpgsqlDbType.Bigint),
        Parameter((short)write.Mutation.DeadlineRounding, NpgsqlDbType.Smallint),
        Parameter(LargeOf(write)?.Id, NpgsqlDbType.Bigint),
        Parameter(LargeOf(write)?.Length, NpgsqlDbType.Bigint),
    ];

    private void ReadMany(NpgsqlDataReader reader)
    {
        var revisions = reader.GetFieldValue<long[]>(0);
        var keys = reader.IsDBNull(1) ? null : reader.GetFieldValue<byte[][]>(1);
        Debug.Assert(revisions.Length == _puts.Count, "Each put has a revision.");
        for (var i = 0; i < revisions.Length; i++)
        {
            Made[keys is null ? _puts[i].Key : keys[i]] = (revisions[i], 0);
        }
    }

    private void ReadMade(NpgsqlDataReader reader) => Made[reader.GetFieldValue<byte[]>(0)] = (reader.GetInt64(1), reader.GetInt64(2));

    // All rows in the order of the keys, before several statements write them in another order.
    private void AddLock(StatementBatch batch, Action<NpgsqlDataReader> read) => batch.Add(
        read, _statements.Lock, Number(), KeysOf([.. Writes]));

    private void AddPuts(StatementBatch batch, List<QueuedWrite> writes, string statement, params ReadOnlySpan<NpgsqlParameter> more)
    {
        if (writes.Count > 0)
        {
            batch.Add(ReadMade, statement, [.. EntriesOf(writes, _number, _clock), .. more]);
        }
    }

    private void AddDeletes(StatementBatch batch)
    {
        if (_deletes.Count > 0)
        {
            batch.Add(ReadMade, _statements.Delete, Number(), KeysOf(_deletes), Now(), RevisionMins(_deletes), RevisionMaxs(_deletes));
        }
    }

    private void AddTouches(StatementBatch batch)
    {
        if (_touches.Count > 0)
        {
            batch.Add(
                ReadMade,
                _statements.Touch,
                Number(),
                KeysOf(_touches),
                Now(),
                Array(_touches, write => _clock.ToDatabase(write.Mutation), NpgsqlDbType.Bigint),
                Array(_touches, static write => (short)write.Mutation.DeadlineRounding, NpgsqlDbType.Smallint),
                RevisionMins(_touches),
                RevisionMaxs(_touches));
        }
    }

    private void AddStanding(StatementBatch batch)
    {
        if (_conditionals.Count > 0)
        {
            batch.Add(
                reader => Standing[reader.GetFieldValue<byte[]>(0)] = reader.GetInt64(1), _statements.Standing, Number(), KeysOf(_conditionals), Now());
        }
    }

    private static KvValueReference? LargeOf(QueuedWrite write) =>
        write.Mutation.LargeValue is { IsNone: false } large ? large : null;
}
