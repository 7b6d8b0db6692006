using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Schema;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Sweeping;

/// <summary>
/// Removes from the database what is not needed any more: expired entries, old deletes, the numbers of old transactions, large values
/// without an entry, and changes that every process has read. One process at a time does, in small transactions.
/// </summary>
internal sealed partial class Sweeper : IAsyncDisposable
{
    private const int RowsAtOnce = 1000;

    // For a process whose clock is behind, and for readers that have just found the entry: in half seconds.
    private const int ExpiredHalfSeconds = 10;

    /// <summary>A write takes its revision before it finds a row, so a delete must be older than any statement that runs.</summary>
    public const string DeletesKept = "1 hour";
    private const string UnreferencedKept = "5 minutes";

    // A value is written before its entry.
    private const string UploadKept = "1 hour";

    /// <summary>How many partitions, which come next and are therefore the oldest ones, are emptied.</summary>
    public const int SlotsAhead = 3;
    private const int LockMilliseconds = 200;

    // So long calls that copy entries wait at most, once a sweep. Their transactions take some tenths of a second.
    private const int CopyMilliseconds = 1000;

    private const int StatementSecondsMax = 60;

    private readonly NpgsqlDataSource _dataSource;
    private readonly string _schema;
    private readonly int _number;
    private readonly DatabaseClock _clock;
    private readonly TimeSpan _interval;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _loop;

    public Sweeper(NpgsqlDataSource dataSource, string schema, int number, DatabaseClock clock, TimeSpan interval, ILogger logger)
    {
        (_dataSource, _schema, _number, _clock, _interval, _logger) = (dataSource, schema, number, clock, interval, logger);
        _loop = interval == Timeout.InfiniteTimeSpan ? Task.CompletedTask : Task.Run(RunAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.StopAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stopping.Dispose();
    }

    /// <summary>
    /// A statement after which no expired entry of the namespace <c>$1</c> with a later revision is removed until the end of the transaction: of one
    /// that takes revisions for keys without rows some time before it inserts them. An entry that others insert meanwhile must keep its row
    /// even when it expires.
    /// </summary>
    public static string KeepExpired(string schema) => $"SELECT pg_advisory_xact_lock_shared({CopyLock(schema)}, $1)";

    /// <summary>Sweeps once.</summary>
    /// <returns>How many rows were removed.</returns>
    public async ValueTask<long> SweepAsync(CancellationToken cancellationToken)
    {
        var link = new Link(_dataSource);
        await using (link.ConfigureAwait(false))
        {
            var removed = await SweepExpiredAsync(link, cancellationToken).ConfigureAwait(false);
            removed += await RepeatAsync(
                link,
                $"""
                DELETE FROM {_schema}.entries e USING (
                    SELECT key FROM {_schema}.entries
                    WHERE namespace = $1 AND deleted_at < now() - interval '{DeletesKept}' AND {IsAlone} LIMIT {RowsAtOnce} FOR UPDATE SKIP LOCKED) gone
                WHERE e.namespace = $1 AND e.key = gone.key
                """,
                usesNow: false, cancellationToken).ConfigureAwait(false);
            removed += await RepeatAsync(
                link,
                $"""
                DELETE FROM {_schema}.commits WHERE id IN (
                    SELECT id FROM (SELECT id, at FROM {_schema}.commits ORDER BY id LIMIT {RowsAtOnce}) oldest
                    WHERE at < now() - interval '{DeletesKept}' AND {IsAlone})
                """,
                usesNow: false, cancellationToken).ConfigureAwait(false);
            removed += await SweepLargeValuesAsync(link, cancellationToken).ConfigureAwait(false);
            await RotateAsync(link, cancellationToken).ConfigureAwait(false);
            return removed;
        }
    }

    private async Task RunAsync()
    {
        while (true)
        {
            try
            {
                // Not at the same moment in all processes.
                await Task.Delay(_interval * (0.75 + (Random.Shared.NextDouble() / 2)), TimeProvider.System, _stopping.Token).ConfigureAwait(false);
                await SweepAsync(_stopping.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                SweepFailed(_logger, e);
            }
        }
    }

    private static string CopyLock(string schema) => $"hashtext('kvstore copy {schema}')";

    private async ValueTask<long> SweepExpiredAsync(Link link, CancellationToken cancellationToken)
    {
        if (await link.AskAsync(RevisionOfExpiredAsync, StatementSecondsMax, cancellationToken).ConfigureAwait(false) is not { } highest)
        {
            return 0;
        }

        return await RepeatAsync(
            link,
            Invariant($"""
            DELETE FROM {_schema}.entries e USING (
                SELECT key FROM {_schema}.entries WHERE {IsExpired} AND revision <= {highest} AND {IsAlone} LIMIT {RowsAtOnce} FOR UPDATE SKIP LOCKED) gone
            WHERE e.namespace = $1 AND e.key = gone.key
            """),
            usesNow: true, cancellationToken).ConfigureAwait(false);
    }

    // The highest revision that an expired entry may have to be removed: no transaction that has called KeepExpired has a lower one, now or later.
    // For that it waits until those that are open have ended, and others wait behind it. Null when that takes too long, or nothing has expired.
    private async Task<long?> RevisionOfExpiredAsync(NpgsqlConnection connection)
    {
        using var batch = new NpgsqlBatch(connection) { Timeout = StatementSecondsMax };
        batch.BatchCommands.Add(new NpgsqlBatchCommand(Invariant($"SET LOCAL lock_timeout = {CopyMilliseconds}")));
        var wait = new NpgsqlBatchCommand($"SELECT pg_advisory_xact_lock({CopyLock(_schema)}, $1) FROM (SELECT 1 FROM {_schema}.entries WHERE {IsExpired} LIMIT 1) e");
        wait.Parameters.Add(Number());
        wait.Parameters.Add(Now());
        batch.BatchCommands.Add(wait);
        batch.BatchCommands.Add(new NpgsqlBatchCommand($"SELECT {LastRevision.Of(_schema)}"));
        try
        {
            var reader = await batch.ExecuteReaderAsync(CancellationToken.None).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                if (!await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false))
                {
                    return null;
                }

                await reader.NextResultAsync(CancellationToken.None).ConfigureAwait(false);
                await reader.ReadAsync(CancellationToken.None).ConfigureAwait(false);
                return reader.GetInt64(0);
            }
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // The next sweep tries again.
            return null;
        }
    }

    private async ValueTask<long> SweepLargeValuesAsync(Link link, CancellationToken cancellationToken)
    {
        await RepeatAsync(
            link,
            $"""
            UPDATE {_schema}.large_values SET unreferenced_since = now()
            WHERE (id, part) IN (
                SELECT v.id, v.part FROM {_schema}.large_values v
                WHERE v.part = 0 AND v.unreferenced_since IS NULL AND v.at < now() - interval '{UploadKept}' AND {IsAlone}
                    AND NOT EXISTS (SELECT 1 FROM {_schema}.entries e WHERE e.large = v.id)
                LIMIT {RowsAtOnce} FOR UPDATE OF v SKIP LOCKED)
            """,
            usesNow: false, cancellationToken).ConfigureAwait(false);
        return await RepeatAsync(
            link,
            $"""
            DELETE FROM {_schema}.large_values WHERE id IN (
                SELECT v.id FROM {_schema}.large_values v
                WHERE v.part = 0 AND v.unreferenced_since < now() - interval '{UnreferencedKept}' AND {IsAlone}
                    AND NOT EXISTS (SELECT 1 FROM {_schema}.entries e WHERE e.large = v.id)
                LIMIT {RowsAtOnce})
            """,
            usesNow: false, cancellationToken).ConfigureAwait(false);
    }

    private static string IsExpired => Invariant($"namespace = $1 AND expires <= {DatabaseClock.Now("$2")} - {ExpiredHalfSeconds}");

    // Whether this process has the lock of the sweepers of the namespace, whose number is $1. Each statement is a transaction of its own that
    // takes the lock: a process that is killed, or loses its connection, cannot leave one that holds it.
    private string IsAlone => $"(SELECT pg_try_advisory_xact_lock(hashtext('kvstore sweep {_schema}'), $1))";

    // Until it finds less than it may take.
    private async ValueTask<long> RepeatAsync(Link link, string statement, bool usesNow, CancellationToken cancellationToken)
    {
        var total = 0L;
        while (true)
        {
            var rows = await RunAsync(
                link, statement, usesNow ? [Number(), Now()] : [Number()], cancellationToken).ConfigureAwait(false);
            total += rows;
            if (rows < RowsAtOnce)
            {
                return total;
            }
        }
    }

    private NpgsqlParameter Number() => new() { Value = _number, NpgsqlDbType = NpgsqlDbType.Integer };

    private NpgsqlParameter Now() => new() { Value = (object?)_clock.NowParameter ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint };

    private static ValueTask<int> RunAsync(Link link, string statement, NpgsqlParameter[] parameters, CancellationToken cancellationToken) =>
        link.AskAsync(
            async connection =>
            {
                using var command = new NpgsqlCommand(statement, connection) { CommandTimeout = StatementSecondsMax };
                command.Parameters.AddRange(parameters);
                return await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
            },
            StatementSecondsMax, cancellationToken);

    // Empties the partitions that come next. First the floor is raised, in a transaction before: a feed that sees an empty partition has
    // seen the floor as well.
    private async ValueTask RotateAsync(Link link, CancellationToken cancellationToken)
    {
        for (var ahead = 1; ahead <= SlotsAhead; ahead++)
        {
            var slot = await link.AskAsync(connection => SlotAsync(connection, ahead), StatementSecondsMax, cancellationToken).ConfigureAwait(false);
            var partition = Invariant($"{_schema}.changes_{slot}");
            var raised = await RunAsync(
                link,
                $"""
                UPDATE {_schema}.meta SET changes_floor = last.xid
                FROM (SELECT (xid::text::bigint + 1)::text::xid8 AS xid FROM {partition} ORDER BY xid DESC LIMIT 1) last
                WHERE meta.changes_floor < last.xid
                """,
                [], cancellationToken).ConfigureAwait(false);
            if (raised == 0)
            {
                // Otherwise the next sweep empties the partition.
                await TruncateAsync(link, partition, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static async Task<int> SlotAsync(NpgsqlConnection connection, int ahead)
    {
        using var command = new NpgsqlCommand(
            Invariant($"SELECT ((floor(extract(epoch FROM now()) / {SchemaScript.SlotSeconds})::bigint + {ahead}) % {SchemaScript.Slots})::int"), connection)
        {
            CommandTimeout = StatementSecondsMax,
        };
        return (int)(await command.ExecuteScalarAsync().ConfigureAwait(false))!;
    }

    private static async ValueTask TruncateAsync(Link link, string partition, CancellationToken cancellationToken)
    {
        try
        {
            // A long reader of the partition, for example a backup, is not disturbed, and nobody waits behind us.
            await RunAsync(
                link,
                Invariant($"""
                SET LOCAL lock_timeout = {LockMilliseconds};
                DO 'BEGIN IF EXISTS (SELECT 1 FROM {partition}) THEN TRUNCATE {partition}; END IF; END'
                """),
                [], cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // The next sweep tries again.
        }
    }

    [LoggerMessage(EventId = 4, Level = LogLevel.Warning, Message = "Removing what is not needed any more from the database failed; it is tried again.")]
    private static partial void SweepFailed(ILogger logger, Exception exception);
}
