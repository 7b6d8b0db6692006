using Microsoft.Extensions.Caching.Distributed;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// A distributed cache in a table of PostgreSQL, which does what Microsoft's cache for SQL Server does: each get moves the expiration of
/// an entry that slides and reads the entry, each set inserts or updates it, and both take a connection from the pool.
/// </summary>
internal sealed class PostgreSqlCache(NpgsqlDataSource source) : IDistributedCache
{
    private const string Slide =
        """
        UPDATE cache SET expires_at = least(absolute_expiration, now() + sliding_seconds * interval '1 second')
        WHERE id = $1 AND expires_at >= now() AND sliding_seconds IS NOT NULL AND (absolute_expiration IS NULL OR absolute_expiration <> expires_at)
        """;

    /// <summary>Creates the table.</summary>
    public const string Table =
        """
        CREATE TABLE cache (
            id text COLLATE "C" PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz NOT NULL,
            sliding_seconds bigint, absolute_expiration timestamptz);
        CREATE INDEX ON cache (expires_at);
        """;

    public byte[]? Get(string key)
    {
        using var connection = source.OpenConnection();
        using var batch = new NpgsqlBatch(connection);
        Add(batch, Slide, key);
        Add(batch, "SELECT value FROM cache WHERE id = $1 AND expires_at >= now()", key);
        batch.Prepare();
        return (byte[]?)batch.ExecuteScalar();
    }

    public Task<byte[]?> GetAsync(string key, CancellationToken token = default) => throw new NotSupportedException("Only the synchronous calls are compared.");

    public void Set(string key, byte[] value, DistributedCacheEntryOptions options)
    {
        var absolute = DateTimeOffset.UtcNow + options.AbsoluteExpirationRelativeToNow;
        using var connection = source.OpenConnection();
        using var command = new NpgsqlCommand(
            """
            INSERT INTO cache (id, value, expires_at, sliding_seconds, absolute_expiration) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at, sliding_seconds = EXCLUDED.sliding_seconds,
                absolute_expiration = EXCLUDED.absolute_expiration
            """,
            connection);
        Add(command.Parameters, key, NpgsqlDbType.Text);
        Add(command.Parameters, value, NpgsqlDbType.Bytea);
        Add(command.Parameters, absolute ?? DateTimeOffset.UtcNow + options.SlidingExpiration!, NpgsqlDbType.TimestampTz);
        Add(command.Parameters, (long?)options.SlidingExpiration?.TotalSeconds, NpgsqlDbType.Bigint);
        Add(command.Parameters, absolute, NpgsqlDbType.TimestampTz);
        command.Prepare();
        command.ExecuteNonQuery();
    }

    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default) =>
        throw new NotSupportedException("Only the synchronous calls are compared.");

    public void Refresh(string key)
    {
        using var connection = source.OpenConnection();
        using var batch = new NpgsqlBatch(connection);
        Add(batch, Slide, key);
        batch.ExecuteNonQuery();
    }

    public Task RefreshAsync(string key, CancellationToken token = default) => throw new NotSupportedException("Only the synchronous calls are compared.");

    public void Remove(string key)
    {
        using var connection = source.OpenConnection();
        using var batch = new NpgsqlBatch(connection);
        Add(batch, "DELETE FROM cache WHERE id = $1", key);
        batch.ExecuteNonQuery();
    }

    public Task RemoveAsync(string key, CancellationToken token = default) => throw new NotSupportedException("Only the synchronous calls are compared.");

    private static void Add(NpgsqlBatch batch, string statement, string key)
    {
        var command = new NpgsqlBatchCommand(statement);
        Add(command.Parameters, key, NpgsqlDbType.Text);
        batch.BatchCommands.Add(command);
    }

    private static void Add(NpgsqlParameterCollection parameters, object? value, NpgsqlDbType type) =>
        parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value, NpgsqlDbType = type });
}
