using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.Schema;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Writes;

/// <summary>The writes of one transaction, which is sent in one round trip.</summary>
/// <remarks>
/// <para>The rows of all keys are written, or locked, in the order of the keys, so that the transactions of several processes wait for each
/// other and do not block each other for ever. The revision is taken in the update, under the lock of the row, so that it grows for
/// each key in the order of the commits.</para>
/// <para>The entries of one call that puts many get revisions in their order, and so are written in it. Their rows are locked first,
/// where there are any. Two processes that put the same new keys in different orders block each other; the server ends that within a
/// second, and the transaction is tried again.</para>
/// <para>A deleted key keeps its row. An insert takes its revision before it looks for a row, so without a row it could write a lower
/// revision than a delete that it waited for.</para>
/// <para>Not thread-safe.</para>
/// </remarks>
internal sealed class WriteTransaction
{
    private readonly string _schema;
    private readonly int _number;
    private readonly DatabaseClock _clock;
    private readonly List<QueuedWrite> _puts = [];
    private readonly List<QueuedWrite> _absents = [];
    private readonly List<QueuedWrite> _replacements = [];
    private readonly List<QueuedWrite> _deletes = [];
    private readonly List<QueuedWrite> _touches = [];
    private readonly List<QueuedWrite> _conditionals = [];

    public WriteTransaction(string schema, int number, DatabaseClock clock, IReadOnlyList<QueuedWrite> writes)
    {
        (_schema, _number, _clock, Writes) = (schema, number, clock, writes);
        foreach (var queued in writes)
        {
            var write = queued.Write;
            if (!queued.IsPlainPut)
            {
                _conditionals.Add(queued);
            }

            (write.Operation switch
            {
                KvEngineOperation.Delete => _deletes,
                KvEngineOperation.Touch => _touches,
                KvEngineOperation.Check => null,
                _ => queued.IsPlainPut ? _puts : write.RevisionMin == 0 ? _absents : _replacements,
            })?.Add(queued);
        }
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
    public WriteTransaction Copy() => new(_schema, _number, _clock, Writes) { Id = Id };

    /// <summary>Sends the transaction and reads the results. It is committed when this has completed.</summary>
    public async ValueTask RunAsync(NpgsqlConnection connection, int secondsMax, CancellationToken cancellationToken)
    {
        Made.Clear();
        Standing.Clear();
        using var batch = new NpgsqlBatch(connection) { Timeout = secondsMax };
        var readers = new List<Action<NpgsqlDataReader>>();
        Add(batch, readers, static _ => { }, Adoption.Check(_schema));
        Add(batch, readers, read: null, $"INSERT INTO {_schema}.commits (id) VALUES ($1)", Parameter(Id, NpgsqlDbType.Uuid));
        if (_conditionals.Count > 0 || HasGroup)
        {
            AddLock(batch, readers);
        }

        AddPuts(batch, readers, _puts, condition: "");
        AddPuts(batch, readers, _absents, $"WHERE e.deleted_at IS NOT NULL OR e.expires <= {DatabaseClock.Now("$9")}");
        AddReplacements(batch, readers);
        AddDeletes(batch, readers);
        AddTouches(batch, readers);
        if (_conditionals.Count > 0)
        {
            AddStanding(batch, readers);
        }

        await SendAsync(batch, readers, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads what a transaction has changed that was committed when its connection was lost.</summary>
    public async ValueTask ReadBackAsync(NpgsqlConnection connection, int secondsMax, CancellationToken cancellationToken)
    {
        Made.Clear();
        Standing.Clear();
        using var batch = new NpgsqlBatch(connection) { Timeout = secondsMax };
        var readers = new List<Action<NpgsqlDataReader>>();
        Add(
            batch, readers, ReadMade,
            $"SELECT c.key, c.revision, 0::bigint FROM {_schema}.commits m JOIN {_schema}.changes c ON c.xid = m.xid AND c.namespace = $1 WHERE m.id = $2",
            Parameter(_number, NpgsqlDbType.Integer), Parameter(Id, NpgsqlDbType.Uuid));
        if (_conditionals.Count > 0)
        {
            AddStanding(batch, readers);
        }

        await SendAsync(batch, readers, cancellationToken).ConfigureAwait(false);
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

    private static async ValueTask SendAsync(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers, CancellationToken cancellationToken)
    {
        var reader = await batch.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            foreach (var read in readers)
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    read(reader);
                }

                await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static NpgsqlParameter Parameter(object? value, NpgsqlDbType type) => new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };

    private static NpgsqlParameter Array<T>(List<QueuedWrite> writes, Func<QueuedWrite, T> column, NpgsqlDbType type)
    {
        var values = new T[writes.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = column(writes[i]);
        }

        return new NpgsqlParameter { Value = values, NpgsqlDbType = NpgsqlDbType.Array | type };
    }

    private static NpgsqlParameter Keys(List<QueuedWrite> writes) => Array(writes, static write => write.Key.ToArray(), NpgsqlDbType.Bytea);

    private static NpgsqlParameter RevisionMins(List<QueuedWrite> writes) => Array(writes, static write => write.Write.RevisionMin, NpgsqlDbType.Bigint);

    private static NpgsqlParameter RevisionMaxs(List<QueuedWrite> writes) => Array(writes, static write => write.Write.RevisionMax, NpgsqlDbType.Bigint);

    private static void Add(
        NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers, Action<NpgsqlDataReader>? read, string text, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        batch.BatchCommands.Add(command);
        if (read is not null)
        {
            readers.Add(read);
        }
    }

    private bool HasGroup => Writes.Any(static write => write.Write.Group is not null);

    private NpgsqlParameter Number() => Parameter(_number, NpgsqlDbType.Integer);

    private NpgsqlParameter Now() => Parameter(_clock.NowParameter, NpgsqlDbType.Bigint);

    // $1 to $8 of the statements that write entries.
    private NpgsqlParameter[] EntriesOf(List<QueuedWrite> writes) =>
    [
        Number(),
        Keys(writes),
        Array(writes, static write => write.Write.Mutation.Value.ToArray(), NpgsqlDbType.Bytea),
        Array(writes, static write => write.Write.Mutation.Metadata.ToArray(), NpgsqlDbType.Bytea),
        Array(writes, write => _clock.ToDatabase(write.Write.Mutation), NpgsqlDbType.Bigint),
        Array(writes, static write => (short)write.Write.Mutation.DeadlineRounding, NpgsqlDbType.Smallint),
        Array(writes, static write => LargeOf(write)?.Id, NpgsqlDbType.Bigint),
        Array(writes, static write => LargeOf(write)?.Length, NpgsqlDbType.Bigint),
    ];

    private void ReadMade(NpgsqlDataReader reader) => Made[reader.GetFieldValue<byte[]>(0)] = (reader.GetInt64(1), reader.GetInt64(2));

    // All rows in the order of the keys, before several statements write them in another order.
    private void AddLock(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers)
    {
        List<QueuedWrite> all = [.. Writes];
        Add(
            batch, readers, static _ => { },
            $"SELECT count(*) FROM (SELECT 1 FROM {_schema}.entries WHERE namespace = $1 AND key = ANY ($2) ORDER BY key FOR UPDATE) locked",
            Number(), Keys(all));
    }

    private void AddPuts(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers, List<QueuedWrite> writes, string condition)
    {
        if (writes.Count == 0)
        {
            return;
        }

        Add(
            batch, readers, ReadMade,
            $"""
            WITH w AS (
                INSERT INTO {_schema}.entries AS e (namespace, key, value, metadata, expires, rounding, large, large_bytes, revision)
                SELECT $1, u.key, u.value, u.metadata, u.expires, u.rounding, u.large, u.large_bytes, nextval('{_schema}.revisions')
                FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY AS u (key, value, metadata, expires, rounding, large, large_bytes, place)
                ORDER BY {(HasGroup ? "u.place" : "u.key")}
                ON CONFLICT (namespace, key) DO UPDATE SET value = EXCLUDED.value, metadata = EXCLUDED.metadata, expires = EXCLUDED.expires,
                    rounding = EXCLUDED.rounding, large = EXCLUDED.large, large_bytes = EXCLUDED.large_bytes, deleted_at = NULL,
                    revision = nextval('{_schema}.revisions') {condition}
                RETURNING e.key, e.revision),
            c AS ({Changes("w")})
            SELECT key, revision, 0::bigint FROM w
            """,
            condition.Length == 0 ? EntriesOf(writes) : [.. EntriesOf(writes), Now()]);
    }

    private void AddReplacements(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers)
    {
        if (_replacements.Count == 0)
        {
            return;
        }

        Add(
            batch, readers, ReadMade,
            $"""
            WITH w AS (
                UPDATE {_schema}.entries e SET value = u.value, metadata = u.metadata, expires = u.expires, rounding = u.rounding,
                    large = u.large, large_bytes = u.large_bytes, revision = nextval('{_schema}.revisions')
                FROM unnest($2, $3, $4, $5, $6, $7, $8, $10, $11)
                    AS u (key, value, metadata, expires, rounding, large, large_bytes, revision_min, revision_max)
                WHERE e.namespace = $1 AND e.key = u.key AND {IsAlive("$9")} AND e.revision BETWEEN u.revision_min AND u.revision_max
                RETURNING e.key, e.revision),
            c AS ({Changes("w")})
            SELECT key, revision, 0::bigint FROM w
            """,
            [.. EntriesOf(_replacements), Now(), RevisionMins(_replacements), RevisionMaxs(_replacements)]);
    }

    private void AddDeletes(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers)
    {
        if (_deletes.Count == 0)
        {
            return;
        }

        Add(
            batch, readers, ReadMade,
            $"""
            WITH w AS (
                UPDATE {_schema}.entries e SET value = '', metadata = '', large = NULL, large_bytes = NULL, expires = NULL, rounding = 0,
                    deleted_at = now(), revision = nextval('{_schema}.revisions')
                FROM unnest($2, $4, $5) AS u (key, revision_min, revision_max)
                WHERE e.namespace = $1 AND e.key = u.key AND {IsAlive("$3")} AND e.revision BETWEEN u.revision_min AND u.revision_max
                RETURNING e.key, e.revision),
            c AS ({Changes("w")})
            SELECT key, revision, 0::bigint FROM w
            """,
            Number(),
            Keys(_deletes),
            Now(),
            RevisionMins(_deletes),
            RevisionMaxs(_deletes));
    }

    private void AddTouches(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers)
    {
        if (_touches.Count == 0)
        {
            return;
        }

        Add(
            batch, readers, ReadMade,
            $"""
            WITH touched AS (
                SELECT e.key, e.revision, u.expires, u.rounding
                FROM unnest($2, $4, $5, $6, $7) AS u (key, expires, rounding, revision_min, revision_max)
                JOIN {_schema}.entries e ON e.namespace = $1 AND e.key = u.key AND {IsAlive("$3")} AND e.revision BETWEEN u.revision_min AND u.revision_max),
            w AS (
                UPDATE {_schema}.entries e SET expires = t.expires, rounding = t.rounding, revision = nextval('{_schema}.revisions')
                FROM touched t WHERE e.namespace = $1 AND e.key = t.key
                RETURNING e.key, e.revision, t.revision AS touched),
            c AS ({Changes("w")})
            SELECT key, revision, touched FROM w
            """,
            Number(),
            Keys(_touches),
            Now(),
            Array(_touches, write => _clock.ToDatabase(write.Write.Mutation), NpgsqlDbType.Bigint),
            Array(_touches, static write => (short)write.Write.Mutation.DeadlineRounding, NpgsqlDbType.Smallint),
            RevisionMins(_touches),
            RevisionMaxs(_touches));
    }

    private void AddStanding(NpgsqlBatch batch, List<Action<NpgsqlDataReader>> readers) => Add(
        batch, readers, reader => Standing[reader.GetFieldValue<byte[]>(0)] = reader.GetInt64(1),
        $"SELECT e.key, e.revision FROM {_schema}.entries e WHERE e.namespace = $1 AND e.key = ANY ($2) AND {IsAlive("$3")}",
        Number(), Keys(_conditionals), Now());

    private string Changes(string from) => $"INSERT INTO {_schema}.changes (namespace, key, revision) SELECT $1, key, revision FROM {from}";

    private static string IsAlive(string parameter) => $"e.deleted_at IS NULL AND (e.expires IS NULL OR e.expires > {DatabaseClock.Now(parameter)})";

    private static KvValueReference? LargeOf(QueuedWrite write) =>
        write.Write.Mutation.LargeValue is { IsNone: false } large ? large : null;
}
