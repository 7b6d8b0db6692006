using KvStore.PostgreSql.Connections;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.LargeValues;

/// <summary>Writes a large value part by part. Parts of a value that is not completed are removed by the sweeper.</summary>
/// <remarks>One caller at a time.</remarks>
internal sealed class LargeValueWriter(LargeValueStore store, string schema) : KvLargeValueWriter
{
    private readonly byte[] _part = new byte[LargeValueStore.PartBytes];

    // Drawn by lot: a sequence may give a number twice after a failover, and who does not know of it yet would read another value.
    private readonly long _id = Random.Shared.NextInt64(1, long.MaxValue);
    private int _filled;
    private int _number;
    private long _length;
    private bool _isStarted;
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
        return new KvValueReference(_isStarted ? _id : 0, _length);
    }

    public override async ValueTask DisposeAsync()
    {
        if (_isCompleted)
        {
            return;
        }

        _isCompleted = true;
        if (!_isStarted)
        {
            return;
        }

        try
        {
            await store.AskAsync(DeleteAsync, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            // The sweeper finds the parts.
        }
    }

    private async ValueTask SendAsync(CancellationToken cancellationToken)
    {
        _isStarted = true;
        try
        {
            var earlier = await store.WriteAsync(InsertAsync, cancellationToken).ConfigureAwait(false);
            if (earlier != _number)
            {
                throw new KvPersistenceException(
                    Invariant($"The server has {earlier} of the {_number} parts that were written before: another server has taken over, or they were removed."));
            }
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            throw new KvPersistenceException($"The large value could not be written to the database: {Failures.Reason(e)}. Nothing was written.", e);
        }

        _number++;
        _filled = 0;
    }

    // How many of the earlier parts there are: a standby that took over may lack them.
    private async Task<long> InsertAsync(NpgsqlConnection connection)
    {
        // A part that was written by an attempt whose answer was lost is the same.
        using var command = new NpgsqlCommand(
            $"""
            WITH written AS (
                INSERT INTO {schema}.large_values (id, part, bytes) VALUES ($1, $2, $3) ON CONFLICT (id, part) DO NOTHING)
            SELECT count(*) FROM {schema}.large_values WHERE id = $1 AND part < $2
            """,
            connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = _id, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new NpgsqlParameter { Value = _number, NpgsqlDbType = NpgsqlDbType.Integer });
        command.Parameters.Add(new NpgsqlParameter { Value = _part.AsMemory(0, _filled), NpgsqlDbType = NpgsqlDbType.Bytea });
        return (long)(await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false))!;
    }

    private async Task<int> DeleteAsync(NpgsqlConnection connection)
    {
        using var command = new NpgsqlCommand($"DELETE FROM {schema}.large_values WHERE id = $1", connection) { CommandTimeout = Link.AnswerSecondsMax };
        command.Parameters.Add(new NpgsqlParameter { Value = _id, NpgsqlDbType = NpgsqlDbType.Bigint });
        return await command.ExecuteNonQueryAsync(CancellationToken.None).ConfigureAwait(false);
    }
}
