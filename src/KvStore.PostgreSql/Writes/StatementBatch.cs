using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Writes;

/// <summary>Statements that are sent in one round trip, and what reads their results.</summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class StatementBatch(NpgsqlConnection connection, int secondsMax) : IDisposable
{
    private readonly NpgsqlBatch _batch = new(connection) { Timeout = secondsMax };
    private readonly List<Action<NpgsqlDataReader>> _readers = [];

    /// <summary>Adds a statement.</summary>
    /// <param name="read">Reads a row of its result; null for a statement without a result.</param>
    /// <param name="text">The statement.</param>
    /// <param name="parameters">Its parameters, <c>$1</c> and so on.</param>
    public void Add(Action<NpgsqlDataReader>? read, string text, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        _batch.BatchCommands.Add(command);
        if (read is not null)
        {
            _readers.Add(read);
        }
    }

    /// <summary>Sends the statements, and reads their results.</summary>
    /// <param name="sent">
    /// The statements that the connection has had, which are prepared when they come again. That takes a round trip, once. Null where
    /// nothing can be prepared.
    /// </param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask SendAsync(HashSet<string>? sent, CancellationToken cancellationToken)
    {
        if (sent is not null && WereSent(sent))
        {
            await _batch.PrepareAsync(cancellationToken).ConfigureAwait(false);
        }

        var reader = await _batch.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            foreach (var read in _readers)
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    read(reader);
                }

                await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private bool WereSent(HashSet<string> sent)
    {
        var were = true;
        foreach (var command in _batch.BatchCommands)
        {
            were &= !sent.Add(command.CommandText);
        }

        return were;
    }

    public void Dispose() => _batch.Dispose();

    /// <summary>A parameter.</summary>
    public static NpgsqlParameter Parameter(object? value, NpgsqlDbType type) => new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };

    /// <summary>A parameter with one element for each write; null where all of them are null, which costs the driver and the server less.</summary>
    public static NpgsqlParameter Array<T>(List<QueuedWrite> writes, Func<QueuedWrite, T> column, NpgsqlDbType type)
    {
        var values = new T[writes.Count];
        var isNull = true;
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = column(writes[i]);
            isNull &= values[i] is null;
        }

        return new NpgsqlParameter { Value = isNull ? DBNull.Value : values, NpgsqlDbType = NpgsqlDbType.Array | type };
    }

    /// <summary>The keys as a parameter.</summary>
    public static NpgsqlParameter KeysOf(List<QueuedWrite> writes) => Array(writes, static write => write.Key.ToArray(), NpgsqlDbType.Bytea);
}
