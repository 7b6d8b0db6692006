using System.Diagnostics.CodeAnalysis;
using KvStore.PostgreSql.Connections;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.LargeValues;

/// <summary>Values that are not kept in memory: rows of a table of their own, one for each part, so that they are streamed both ways.</summary>
/// <remarks>
/// A value is never changed. The sweeper removes the ones that no entry has referred to for some minutes, so a reader that has found an
/// entry can still read its value after the entry has been replaced. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class LargeValueStore(NpgsqlDataSource dataSource, string schema, int thresholdBytes) : IKvLargeValues
{
    /// <summary>The length of every part but the last.</summary>
    public const int PartBytes = 256 * 1024;

    public int ThresholdBytes => thresholdBytes;

    public KvLargeValueWriter Create() => new LargeValueWriter(dataSource, schema);

    public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
    {
        value = new LargeValue(this, reference);
        return true;
    }

    public void Release(KvValueReference reference)
    {
        // Another process may still refer to it. The sweeper finds out.
    }

    /// <summary>Reads a part.</summary>
    /// <exception cref="KvException">The value was removed (410), because its entry was replaced minutes ago.</exception>
    /// <exception cref="KvPersistenceException">The database could not be asked.</exception>
    public async ValueTask<byte[]> ReadAsync(KvValueReference reference, int part, CancellationToken cancellationToken)
    {
        try
        {
            var connection = await dataSource.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                using var command = Command(connection, reference, part);
                return Checked(reference, part, (byte[]?)await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false));
            }
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            throw NotRead(e);
        }
    }

    /// <summary>Reads a part, for callers that read synchronously.</summary>
    public byte[] Read(KvValueReference reference, int part)
    {
        try
        {
            using var connection = dataSource.OpenConnection();
            using var command = Command(connection, reference, part);
            return Checked(reference, part, (byte[]?)command.ExecuteScalar());
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            throw NotRead(e);
        }
    }

    private static KvPersistenceException NotRead(Exception e) => new($"The large value could not be read from the database: {e.Message}", e);

    private static byte[] Checked(KvValueReference reference, int part, byte[]? bytes)
    {
        if (bytes is null)
        {
            throw new KvException(410, "GET", "The large value was replaced or deleted some minutes ago. Get the key again.");
        }

        var expected = Math.Min(PartBytes, reference.Length - ((long)part * PartBytes));
        return bytes.Length == expected
            ? bytes
            : throw new KvPersistenceException(
                Invariant($"The part {part} of the large value {reference.Id} has {bytes.Length} bytes, and should have {expected}."));
    }

    private NpgsqlCommand Command(NpgsqlConnection connection, KvValueReference reference, int part)
    {
        var command = new NpgsqlCommand($"SELECT bytes FROM {schema}.large_values WHERE id = $1 AND part = $2", connection);
        command.Parameters.Add(new NpgsqlParameter { Value = reference.Id, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new NpgsqlParameter { Value = part, NpgsqlDbType = NpgsqlDbType.Integer });
        return command;
    }
}
