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

    // A write takes its revision before it finds a row, so a delete must be older than any statement that runs.
    private const string DeletesKept = "1 hour";
    private const string UnreferencedKept = "5 minutes";

    // A value is written before its entry.
    private const string UploadKept = "1 hour";

    // Which partitions come next, and are therefore the oldest ones.
    private const int SlotsAhead = 3;
    private const int LockMilliseconds = 200;

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

    /// <summary>Sweeps once.</summary>
    /// <returns>How many rows were removed.</returns>
    public async ValueTask<long> SweepAsync(CancellationToken cancellationToken)
    {
        var connection = await _dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            var removed = await RepeatAsync(
                connection,
                $"""
                DELETE FROM {_schema}.entries e USING (
                    SELECT key FROM {_schema}.entries
                    WHERE namespace = $1 AND expires <= {DatabaseClock.Now("$2")} - {ExpiredHalfSeconds} LIMIT {RowsAtOnce} FOR UPDATE SKIP LOCKED) gone
                WHERE e.namespace = $1 AND e.key = gone.key
                """,
                usesNow: true, cancellationToken).ConfigureAwait(false);
            removed += await RepeatAsync(
                connection,
                $"""
                DELETE FROM {_schema}.entries e USING (
                    SELECT key FROM {_schema}.entries
                    WHERE namespace = $1 AND deleted_at < now() - interval '{DeletesKept}' LIMIT {RowsAtOnce} FOR UPDATE SKIP LOCKED) gone
                WHERE e.namespace = $1 AND e.key = gone.key
                """,
                usesNow: false, cancellationToken).ConfigureAwait(false);
            removed += await RepeatAsync(
                connection,
                $"DELETE FROM {_schema}.commits WHERE id IN (SELECT id FROM {_schema}.commits WHERE at < now() - interval '{DeletesKept}' AND $1 IS NOT NULL LIMIT {RowsAtOnce})",
                usesNow: false, cancellationToken).ConfigureAwait(false);
            removed += await SweepLargeValuesAsync(connection, cancellationToken).ConfigureAwait(false);
            await RotateAsync(connection, cancellationToken).ConfigureAwait(false);
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

    private async ValueTask<long> SweepLargeValuesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await RepeatAsync(
            connection,
            $"""
            UPDATE {_schema}.large_values SET unreferenced_since = now()
            WHERE (id, part) IN (
                SELECT v.id, v.part FROM {_schema}.large_values v
                WHERE v.part = 0 AND v.unreferenced_since IS NULL AND v.at < now() - interval '{UploadKept}' AND $1 IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM {_schema}.entries e WHERE e.large = v.id)
                LIMIT {RowsAtOnce})
            """,
            usesNow: false, cancellationToken).ConfigureAwait(false);
        return await RepeatAsync(
            connection,
            $"""
            DELETE FROM {_schema}.large_values WHERE id IN (
                SELECT v.id FROM {_schema}.large_values v
                WHERE v.part = 0 AND v.unreferenced_since < now() - interval '{UnreferencedKept}' AND $1 IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM {_schema}.entries e WHERE e.large = v.id)
                LIMIT {RowsAtOnce})
            """,
            usesNow: false, cancellationToken).ConfigureAwait(false);
    }

    // One statement at a time under a lock that one process has, until it finds less than it may take.
    private async ValueTask<long> RepeatAsync(NpgsqlConnection connection, string statement, bool usesNow, CancellationToken cancellationToken)
    {
        var total = 0L;
        while (true)
        {
            var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
            await using (transaction.ConfigureAwait(false))
            {
                if (!await TryLockAsync(connection, cancellationToken).ConfigureAwait(false))
                {
                    return total;
                }

                using var command = new NpgsqlCommand(statement, connection, transaction);
                command.Parameters.Add(new NpgsqlParameter { Value = _number, NpgsqlDbType = NpgsqlDbType.Integer });
                if (usesNow)
                {
                    command.Parameters.Add(new NpgsqlParameter { Value = (object?)_clock.NowParameter ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
                }

                var rows = await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
                total += rows;
                if (rows < RowsAtOnce)
                {
                    return total;
                }
            }
        }
    }

    private async ValueTask<bool> TryLockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand("SELECT pg_try_advisory_xact_lock(hashtext($1), $2)", connection);
        command.Parameters.Add(new NpgsqlParameter { Value = $"kvstore sweep {_schema}", NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new NpgsqlParameter { Value = _number, NpgsqlDbType = NpgsqlDbType.Integer });
        return (bool)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    // Empties the partitions that come next. First the floor is raised, in a transaction before: a feed that sees an empty partition has
    // seen the floor as well.
    private async ValueTask RotateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        for (var ahead = 1; ahead <= SlotsAhead; ahead++)
        {
            int slot;
            using (var current = new NpgsqlCommand(
                Invariant($"SELECT ((floor(extract(epoch FROM now()) / {SchemaScript.SlotSeconds})::bigint + {ahead}) % {SchemaScript.Slots})::int"), connection))
            {
                slot = (int)(await current.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
            }

            var partition = Invariant($"{_schema}.changes_{slot}");
            using (var raise = new NpgsqlCommand(
                $"""
                UPDATE {_schema}.meta SET changes_floor = last.xid
                FROM (SELECT (xid::text::bigint + 1)::text::xid8 AS xid FROM {partition} ORDER BY xid DESC LIMIT 1) last
                WHERE meta.changes_floor < last.xid
                """,
                connection))
            {
                if (await raise.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) > 0)
                {
                    // The next sweep empties the partition.
                    continue;
                }
            }

            await TruncateAsync(connection, partition, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask TruncateAsync(NpgsqlConnection connection, string partition, CancellationToken cancellationToken)
    {
        try
        {
            var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
            await using (transaction.ConfigureAwait(false))
            {
                using var check = new NpgsqlCommand(Invariant($"SELECT EXISTS (SELECT 1 FROM {partition})"), connection, transaction);
                if (!(bool)(await check.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!)
                {
                    return;
                }

                // A long reader of the partition, for example a backup, is not disturbed, and nobody waits behind us.
                using var truncate = new NpgsqlCommand(
                    Invariant($"SET LOCAL lock_timeout = {LockMilliseconds}; TRUNCATE {partition}"), connection, transaction);
                await truncate.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            // The next sweep tries again.
        }
    }

    [LoggerMessage(EventId = 4, Level = LogLevel.Warning, Message = "Removing what is not needed any more from the database failed; it is tried again.")]
    private static partial void SweepFailed(ILogger logger, Exception exception);
}
