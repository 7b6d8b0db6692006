using KvStore.PostgreSql.Connections;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Writes;

/// <summary>Decides about a transaction whose connection was lost: see <see cref="WriteLane"/>.</summary>
internal static class CommitFence
{
    /// <summary>Finds out whether a transaction was committed. When it was not, it cannot be any more.</summary>
    /// <param name="connection">Another connection.</param>
    /// <param name="schema">The schema of the tables.</param>
    /// <param name="transaction">The transaction.</param>
    /// <param name="session">The other end of the lost connection; null where that is not known.</param>
    /// <param name="seconds">How long the server may take to answer.</param>
    /// <returns>What the transaction has made; null when it was not committed.</returns>
    public static async Task<WriteTransaction?> FindAsync(
        NpgsqlConnection connection, string schema, WriteTransaction transaction, ServerSession? session, int seconds)
    {
        // Otherwise the fence would wait for a transaction that waits for the rest of what was sent.
        if (session is not null)
        {
            await session.EndAsync(connection).ConfigureAwait(false);
        }

        using var fence = new NpgsqlCommand(
            $"""
            WITH fence AS (INSERT INTO {schema}.commits (id, is_fence) VALUES ($1, true) ON CONFLICT (id) DO NOTHING RETURNING true)
            SELECT EXISTS (SELECT 1 FROM fence)
            """,
            connection)
        {
            CommandTimeout = seconds,
        };
        fence.Parameters.Add(new NpgsqlParameter { Value = transaction.Id, NpgsqlDbType = NpgsqlDbType.Uuid });
        if ((bool)(await fence.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false))!)
        {
            return null;
        }

        // A statement of its own, which sees what the first one waited for. An earlier attempt may have set the fence.
        using var find = new NpgsqlCommand($"SELECT is_fence FROM {schema}.commits WHERE id = $1", connection) { CommandTimeout = seconds };
        find.Parameters.Add(new NpgsqlParameter { Value = transaction.Id, NpgsqlDbType = NpgsqlDbType.Uuid });
        if (await find.ExecuteScalarAsync(CancellationToken.None).ConfigureAwait(false) is true)
        {
            return null;
        }

        // Another object: the one whose connection was given up may still be told something.
        var committed = transaction.Copy();
        await committed.ReadBackAsync(connection, seconds, CancellationToken.None).ConfigureAwait(false);
        return committed;
    }
}
