using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Connections;

/// <summary>
/// The other end of a connection. After the connection was lost, the server may not know it for hours: its session then holds the locks of
/// half a transaction. So it is ended from another connection.
/// </summary>
/// <param name="Process">The process of the server.</param>
/// <param name="Began">When the session began, because numbers of processes are used again.</param>
internal sealed record ServerSession(int Process, DateTime Began)
{
    /// <summary>Finds the session of a connection.</summary>
    /// <returns>Null where the connection ends at a pooler, whose connections to the server change.</returns>
    public static async Task<ServerSession?> FindAsync(NpgsqlConnection connection)
    {
        using var command = new NpgsqlCommand("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_start IS NOT NULL", connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        var reader = await command.ExecuteReaderAsync().ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            return await reader.ReadAsync().ConfigureAwait(false) && reader.GetInt32(0) == connection.ProcessID
                ? new ServerSession(reader.GetInt32(0), reader.GetDateTime(1))
                : null;
        }
    }

    /// <summary>Ends the session, if there is still one. Users may end sessions of their own.</summary>
    public async Task EndAsync(NpgsqlConnection connection)
    {
        using var command = new NpgsqlCommand("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND pid <> pg_backend_pid()", connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        command.Parameters.Add(new NpgsqlParameter { Value = Process, NpgsqlDbType = NpgsqlDbType.Integer });
        command.Parameters.Add(new NpgsqlParameter { Value = Began, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        try
        {
            await command.ExecuteNonQueryAsync().ConfigureAwait(false);
        }
        catch (PostgresException)
        {
            // An administrator has taken that right away. The server notices by itself, later.
        }
    }
}
