using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Schema;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Feed;

/// <summary>The statements of the feed.</summary>
/// <remarks>One call at a time.</remarks>
internal sealed class PostgreSqlFeedSource(Link link, string schema, int number, DatabaseClock clock, TimeProvider timeProvider, Action onClockMoved) : IFeedSource
{
    private const string RowColumns = "key, revision, deleted_at IS NOT NULL, expires, rounding, large, large_bytes, metadata, value";
    private const string CopiedColumns = "key, revision, expires, rounding, large, large_bytes, metadata, value";
    private const int CopiedColumnCount = 8;
    private const int RoundingMax = 3;
    private const int RowsPerNote = 64;
    private const long RaisedBeyond = 1000;

    // Until the next row of a long answer comes. The first one may have to be searched for, or sorted.
    private const int RowSecondsMax = 60;

    // A restart, a failover, a restore and another database change it.
    private readonly string _identity = $"concat_ws('/', {Adoption.Server(schema)}, m.epoch)";

    public ValueTask<FeedState> LoadAsync(IKvEngineHost host, CancellationToken cancellationToken) =>
        link.AskAsync(connection => LoadAsync(connection, host, cancellationToken), RowSecondsMax, CancellationToken.None);

    public ValueTask<FeedChanges> ReadChangesAsync(string previousSnapshot, CancellationToken cancellationToken) =>
        link.AskAsync(connection => ReadChangesAsync(connection, FeedPosition.Parse(previousSnapshot)), Link.AnswerSecondsMax, cancellationToken);

    public ValueTask<IReadOnlyList<KvMutation>> ReadRowsAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, CancellationToken cancellationToken) =>
        link.AskAsync(connection => ReadRowsAsync(connection, keys), Link.AnswerSecondsMax, cancellationToken);

    public ValueTask<FeedState> CompareAsync(Action<byte[], long> show, CancellationToken cancellationToken) =>
        link.AskAsync(connection => CompareAsync(connection, show, cancellationToken), RowSecondsMax, CancellationToken.None);

    public async ValueTask AdoptAsync(CancellationToken cancellationToken) =>
        await link.AskAsync(connection => Adoption.EnsureAsync(connection, schema), Link.AnswerSecondsMax, cancellationToken).ConfigureAwait(false);

    public async ValueTask RaiseAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, long above, CancellationToken cancellationToken) =>
        await link.AskAsync(connection => RaiseAsync(connection, keys, above), RowSecondsMax, cancellationToken).ConfigureAwait(false);

    private async Task<FeedState> LoadAsync(NpgsqlConnection connection, IKvEngineHost host, CancellationToken cancellationToken)
    {
        var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            var (state, estimate) = await ReadStateAsync(connection, cancellationToken).ConfigureAwait(false);
            host.Prepare(estimate);
            var entries = 0L;
            var highest = 0L;
            await CopyAsync(
                connection,
                $"SELECT {CopiedColumns} FROM {schema}.entries WHERE namespace = {number} AND deleted_at IS NULL AND {IsAlive()}",
                CopiedColumnCount,
                rows =>
                {
                    var row = CopiedRow(rows);
                    host.Apply(row);
                    highest = Math.Max(highest, row.Revision);
                    entries++;
                },
                cancellationToken).ConfigureAwait(false);
            if (highest > state.LastRevision && await LastRevisionAsync(connection, cancellationToken).ConfigureAwait(false) is var last && highest > last)
            {
                throw new SequenceResetException(last, highest);
            }

            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return state with { Entries = entries };
        }
    }

    private async Task<FeedChanges> ReadChangesAsync(NpgsqlConnection connection, FeedPosition previous)
    {
        using var command = new NpgsqlCommand(
            $"""
            SELECT s.*, c.key, c.revision
            FROM (
                SELECT pg_current_snapshot()::text, {_identity}, {LastRevision.Of(schema)},
                    {FeedPosition.IsBelowFloor("m.changes_floor", "$2::pg_snapshot")}, clock_timestamp(), {FeedPosition.SlotNow}, {FeedPosition.FilesOf(schema)}
                FROM {schema}.meta m) s
            LEFT JOIN (
                SELECT u.key, max(u.revision) AS revision FROM {schema}.changes, unnest(keys, revisions) AS u (key, revision)
                WHERE namespace = $1 AND xid >= pg_snapshot_xmin($2::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $2::pg_snapshot)
                GROUP BY u.key) c ON true
            """,
            connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = number, NpgsqlDbType = NpgsqlDbType.Integer });
        command.Parameters.Add(new NpgsqlParameter { Value = previous.Snapshot, NpgsqlDbType = NpgsqlDbType.Text });
        var sent = timeProvider.GetUtcNow();
        var reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            FeedChanges? changes = null;
            var keys = new List<ChangedKey>();
            while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                link.NoteProgress();
                if (changes is null)
                {
                    var position = new FeedPosition(reader.GetString(0), reader.GetInt64(5), reader.GetString(6));
                    changes = new FeedChanges(
                        position.ToString(), reader.GetString(1), reader.GetInt64(2), reader.GetBoolean(3) || previous.HasLost(position.Files), keys);
                    if (clock.Measure(reader.GetFieldValue<DateTimeOffset>(4), sent, timeProvider.GetUtcNow()))
                    {
                        onClockMoved();
                    }
                }

                if (!reader.IsDBNull(7))
                {
                    keys.Add(new ChangedKey(reader.GetFieldValue<byte[]>(7), reader.GetInt64(8)));
                }
            }

            return changes ?? throw NoMeta();
        }
    }

    private async Task<IReadOnlyList<KvMutation>> ReadRowsAsync(NpgsqlConnection connection, IReadOnlyList<ReadOnlyMemory<byte>> keys)
    {
        using var command = new NpgsqlCommand($"SELECT {RowColumns} FROM {schema}.entries WHERE namespace = $1 AND key = ANY ($2)", connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = number, NpgsqlDbType = NpgsqlDbType.Integer });
        command.Parameters.Add(KeysParameter(keys));
        var rows = new List<KvMutation>(keys.Count);
        var reader = await command.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
            {
                link.NoteProgress();
                rows.Add(ReadRow(reader));
            }
        }

        return rows;
    }

    private async Task<FeedState> CompareAsync(NpgsqlConnection connection, Action<byte[], long> show, CancellationToken cancellationToken)
    {
        var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            var (state, _) = await ReadStateAsync(connection, cancellationToken).ConfigureAwait(false);
            var entries = 0L;
            await CopyAsync(
                connection,
                $"SELECT key, revision FROM {schema}.entries WHERE namespace = {number} AND {IsAlive()} ORDER BY key",
                columns: 2,
                rows =>
                {
                    show(rows.Bytes(0).ToArray(), rows.Int64(1));
                    entries++;
                },
                cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return state with { Entries = entries };
        }
    }

    private async Task<int> RaiseAsync(NpgsqlConnection connection, IReadOnlyList<ReadOnlyMemory<byte>> keys, long above)
    {
        // Beyond the highest, so that revisions which others take meanwhile stay below.
        using var raise = new NpgsqlCommand($"SELECT setval('{schema}.revisions', $1) WHERE {LastRevision.Of(schema)} < $2", connection) { CommandTimeout = RowSecondsMax };
        raise.Parameters.Add(new NpgsqlParameter { Value = above + RaisedBeyond, NpgsqlDbType = NpgsqlDbType.Bigint });
        raise.Parameters.Add(new NpgsqlParameter { Value = above, NpgsqlDbType = NpgsqlDbType.Bigint });
        await raise.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
        if (keys.Count == 0)
        {
            return 0;
        }

        using var update = new NpgsqlCommand(
            $"""
            WITH locked AS (
                SELECT key FROM {schema}.entries WHERE namespace = $1 AND key = ANY ($2) AND revision <= $3 ORDER BY key FOR UPDATE),
            w AS (
                UPDATE {schema}.entries e SET revision = nextval('{schema}.revisions')
                FROM locked WHERE e.namespace = $1 AND e.key = locked.key AND e.revision <= $3 RETURNING e.key, e.revision)
            INSERT INTO {schema}.changes (namespace, keys, revisions) SELECT $1, array_agg(key), array_agg(revision) FROM w HAVING count(*) > 0
            """,
            connection)
        {
            CommandTimeout = RowSecondsMax,
        };
        update.Parameters.Add(new NpgsqlParameter { Value = number, NpgsqlDbType = NpgsqlDbType.Integer });
        update.Parameters.Add(KeysParameter(keys));
        update.Parameters.Add(new NpgsqlParameter { Value = above, NpgsqlDbType = NpgsqlDbType.Bigint });
        return await update.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static NpgsqlParameter KeysParameter(IReadOnlyList<ReadOnlyMemory<byte>> keys) => new()
    {
        Value = keys.Select(static key => key.ToArray()).ToArray(),
        NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea,
    };

    private string IsAlive() => Invariant($"(expires IS NULL OR expires > {DatabaseClock.Now(clock.NowParameter is { } now ? Invariant($"{now}") : "NULL")})");

    // The share of the namespace in the rows of the table, as ANALYZE has found it; 0 where it has not been there yet.
    private string EstimatedEntries => Invariant(
        $"""
        coalesce((
            SELECT greatest(0, c.reltuples) * s.most_common_freqs[array_position(s.most_common_vals::text::int[], {number})]
            FROM pg_class c, pg_stats s
            WHERE c.oid = '{schema}.entries'::regclass AND s.schemaname = '{schema}' AND s.tablename = 'entries' AND s.attname = 'namespace'), 0)::bigint
        """);

    private async ValueTask<(FeedState State, long Estimate)> ReadStateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand(
            $"""
            SELECT pg_current_snapshot()::text, {_identity}, {LastRevision.Of(schema)},
                {EstimatedEntries}, clock_timestamp(), {FeedPosition.SlotNow}, {FeedPosition.FilesOf(schema)}
            FROM {schema}.meta m
            """,
            connection)
        {
            CommandTimeout = RowSecondsMax,
        };
        var sent = timeProvider.GetUtcNow();
        var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (!await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                throw NoMeta();
            }

            clock.Measure(reader.GetFieldValue<DateTimeOffset>(4), sent, timeProvider.GetUtcNow());
            var position = new FeedPosition(reader.GetString(0), reader.GetInt64(5), reader.GetString(6));
            return (new FeedState(position.ToString(), reader.GetString(1), reader.GetInt64(2), Entries: 0), reader.GetInt64(3));
        }
    }

    private async ValueTask<long> LastRevisionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand($"SELECT {LastRevision.Of(schema)}", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    private KvPersistenceException NoMeta() => new($"The table {schema}.meta has no row; the database is not the one that was opened, or was emptied.");

    private KvMutation ReadRow(NpgsqlDataReader reader)
    {
        long? expires = reader.IsDBNull(3) ? null : reader.GetInt64(3);
        var isDelete = reader.GetBoolean(2);
        return Row(
            reader.GetFieldValue<byte[]>(0), reader.GetInt64(1), isDelete, expires, reader.GetInt16(4),
            reader.IsDBNull(5) ? 0 : reader.GetInt64(5), reader.IsDBNull(6) ? 0 : reader.GetInt64(6),
            isDelete ? default : reader.GetFieldValue<byte[]>(7), isDelete ? default : reader.GetFieldValue<byte[]>(8));
    }

    private KvMutation CopiedRow(CopyReader rows) => Row(
        rows.Bytes(0), rows.Int64(1), isDelete: false, rows.NullableInt64(2), rows.Int16(3), rows.NullableInt64(4) ?? 0, rows.NullableInt64(5) ?? 0, rows.Bytes(6), rows.Bytes(7));

    // Shows each row of an answer, which is forgotten when the call returns.
    private async Task CopyAsync(NpgsqlConnection connection, FormattableString query, int columns, Action<CopyReader> show, CancellationToken cancellationToken)
    {
        var answer = await connection.BeginRawBinaryCopyAsync($"COPY ({Invariant(query)}) TO STDOUT (FORMAT BINARY)", cancellationToken).ConfigureAwait(false);
        await using (answer.ConfigureAwait(false))
        {
            answer.ReadTimeout = RowSecondsMax * 1000;
            try
            {
                var rows = new CopyReader(answer, columns);
                for (var count = 0; await rows.ReadAsync(cancellationToken).ConfigureAwait(false); count++)
                {
                    if (count % RowsPerNote == 0)
                    {
                        link.NoteProgress();
                    }

                    show(rows);
                }
            }
            catch when (!connection.FullState.HasFlag(System.Data.ConnectionState.Broken))
            {
                await CancelAsync(answer).ConfigureAwait(false);
                throw;
            }
        }
    }

    // Otherwise the rest of the answer is received when the stream is disposed.
    private static async ValueTask CancelAsync(NpgsqlRawCopyStream answer)
    {
        try
        {
            await answer.CancelAsync().ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The server has ended it with an error.
        }
    }

    private KvMutation Row(
        ReadOnlyMemory<byte> key, long revision, bool isDelete, long? expires, short rounding, long large, long largeBytes, ReadOnlyMemory<byte> metadata, ReadOnlyMemory<byte> value)
    {
        // Memory is laid out for these numbers, and other programs can write to the table.
        if (key.Length is 0 or > Prerequisites.KeyBytesMax || metadata.Length > ushort.MaxValue || revision <= 0 || rounding is < 0 or > RoundingMax)
        {
            throw new KvPersistenceException(Invariant(
                $"The table {schema}.entries has a row with a key of {key.Length} bytes (1 to {Prerequisites.KeyBytesMax} are allowed), metadata of {metadata.Length} bytes (at most {ushort.MaxValue}), the revision {revision} (above 0) and the rounding {rounding} (0 to {RoundingMax}). Delete the row."));
        }

        return new()
        {
            Key = key,
            Revision = revision,
            IsDelete = isDelete,
            DeadlineSeconds = isDelete ? 0 : clock.ToSeconds(expires),
            DeadlineRounding = (byte)(isDelete ? 0 : rounding),
            LargeValue = isDelete || large == 0 ? default : new KvValueReference(large, largeBytes),
            Metadata = metadata,
            Value = value,
        };
    }
}
