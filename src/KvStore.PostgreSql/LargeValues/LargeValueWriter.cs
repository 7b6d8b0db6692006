using KvStore.PostgreSql.Connections;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.LargeValues;

/// <summary>Writes a large value part by part. Parts of a value that is not completed are removed by the sweeper.</summary>
/// <remarks>One caller at a time.</remarks>
internal sealed class LargeValueWriter(NpgsqlDataSource dataSource, string schema) : KvLargeValueWriter
{
    private readonly byte[] _part = new byte[LargeValueStore.PartBytes];
    private int _filled;
    private int _number;
    private long _id;
    private long _length;
    private bool _isCompleted;

    public override long Length => _length;

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        while (!bytes.IsEmpty)
        {
            var count = Math.Min(bytes.Length, _part.Length - _filled);
            bytes[..count].CopyTo(_part.AsMemory(_filled));
            bytes = bytes[count..];
            _filled += count;
            _length += count;
            if (_filled == _part.Length)
            {
                await SendAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public override async ValueTask<KvValueReference> CompleteAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_filled > 0)
        {
            await SendAsync(cancellationToken).ConfigureAwait(false);
        }

        _isCompleted = true;
        return new KvValueReference(_id, _length);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_isCompleted || _id == 0)
        {
            return;
        }

        _isCompleted = true;
        try
        {
            var connection = await dataSource.OpenConnectionAsync().ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                using var command = new NpgsqlCommand($"DELETE FROM {schema}.large_values WHERE id = $1", connection);
                command.Parameters.Add(new NpgsqlParameter { Value = _id, NpgsqlDbType = NpgsqlDbType.Bigint });
                await command.ExecuteNonQueryAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            // The sweeper finds the parts.
        }
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        try
        {
            var connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                if (_id == 0)
                {
                    using var next = new NpgsqlCommand($"SELECT nextval('{schema}.large_ids')", connection);
                    _id = (long)(await next.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
                }

                using var command = new NpgsqlCommand($"INSERT INTO {schema}.large_values (id, part, bytes) VALUES ($1, $2, $3)", connection);
                command.Parameters.Add(new NpgsqlParameter { Value = _id, NpgsqlDbType = NpgsqlDbType.Bigint });
                command.Parameters.Add(new NpgsqlParameter { Value = _number, NpgsqlDbType = NpgsqlDbType.Integer });
                command.Parameters.Add(new NpgsqlParameter { Value = _part.AsMemory(0, _filled), NpgsqlDbType = NpgsqlDbType.Bytea });
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            throw new KvPersistenceException($"The large value could not be written to the database: {e.Message} Nothing was written.", e);
        }

        _number++;
        _filled = 0;
    }
}
