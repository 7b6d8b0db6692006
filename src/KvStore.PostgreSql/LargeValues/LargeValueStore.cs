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
internal sealed class LargeValueStore(NpgsqlDataSource dataSource, string schema, int thresholdBytes, TimeSpan writeTimeout) : IKvLargeValues
{
    /// <summary>The length of every part but the last.</summary>
    public const int PartBytes = 256 * 1024;

    private const int AttemptsMin = 2;

    public int ThresholdBytes => thresholdBytes;

    public KvLargeValueWriter Create() => new LargeValueWriter(this, schema);

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
            return Checked(
                reference, part,
                await AskAsync(connection => ReadAsync(connection, reference, part), TimeSpan.Zero, cancellationToken).ConfigureAwait(false));
        }
        catch (Exception e) when (Failures.IsOfDatabase(e))
        {
            throw NotRead(e);
        }
    }

    /// <summary>Reads a part, for callers that read synchronously.</summary>
    public byte[] Read(KvValueReference reference, int part)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var connection = dataSource.OpenConnection();
                using var command = Command(connection, reference, part);
                return Checked(reference, part, (byte[]?)command.ExecuteScalar());
            }
            catch (Exception e) when (Failures.IsOfDatabase(e))
            {
                if (attempt == AttemptsMin || Failures.IsRefusal(e))
                {
                    throw NotRead(e);
                }

                dataSource.Clear();
            }
        }
    }

    /// <summary>
    /// Runs statements that may be made twice. The pool may have a connection that was lost and has not said so, so there is always a second
    /// attempt.
    /// </summary>
    /// <param name="statements">The statements, with a timeout of <see cref="Link.AnswerSecondsMax"/>.</param>
    /// <param name="patience">For how long more attempts follow.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async ValueTask<T> AskAsync<T>(Func<NpgsqlConnection, Task<T>> statements, TimeSpan patience, CancellationToken cancellationToken)
    {
        var began = TimeProvider.System.GetTimestamp();
        var link = new Link(dataSource);
        await using (link.ConfigureAwait(false))
        {
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    return await link.AskAsync(statements, Link.AnswerSecondsMax, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception e) when (
                    Failures.IsOfDatabase(e) && !Failures.IsRefusal(e) && (attempt < AttemptsMin || TimeProvider.System.GetElapsedTime(began) < patience))
                {
                    await link.DropAllAsync().ConfigureAwait(false);
                }

                if (attempt >= AttemptsMin)
                {
                    await Task.Delay(Failures.DelayAfter(attempt), TimeProvider.System, cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    /// <summary>Runs statements that write, which may be made twice. It waits for the database as long as other writes do.</summary>
    public ValueTask<T> WriteAsync<T>(Func<NpgsqlConnection, Task<T>> statements, CancellationToken cancellationToken) =>
        AskAsync(statements, writeTimeout, cancellationToken);

    private static KvPersistenceException NotRead(Exception e) => new($"The large value could not be read from the database: {Failures.Reason(e)}.", e);

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

    private async Task<byte[]?> ReadAsync(NpgsqlConnection connection, KvValueReference reference, int part)
    {
        using var command = Command(connection, reference, part);
        return (byte[]?)await command.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private NpgsqlCommand Command(NpgsqlConnection connection, KvValueReference reference, int part)
    {
        var command = new NpgsqlCommand($"SELECT bytes FROM {schema}.large_values WHERE id = $1 AND part = $2", connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = reference.Id, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new NpgsqlParameter { Value = part, NpgsqlDbType = NpgsqlDbType.Integer });
        return command;
    }
}
