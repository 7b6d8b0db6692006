using KvStore.PostgreSql.Connections;
using Npgsql;

namespace KvStore.PostgreSql.Schema;

/// <summary>
/// Makes sure that no revision is given twice by a server that does not have the last transactions: one that took over, or one whose
/// data was restored.
/// </summary>
/// <remarks>
/// The row of the table meta says for which start of which server the revisions were raised. Every transaction that writes checks
/// it, so the first process that comes to another server raises them, above everything that can have been lost.
/// </remarks>
internal static class Adoption
{
    // The new revisions begin at a number that no server has come to before: the seconds since 1970, and these bits for the mutations of a
    // second. By half a second's share at least, if the clock was set back.
    private const int BitsBelowSecond = 28;
    private const long RaisedBy = 1L << (BitsBelowSecond - 1);

    /// <summary>The expression of what the row must say. Another start of the server, and another copy of the tables, have another value.</summary>
    public static string Server(string schema) => $"concat_ws('/', pg_postmaster_start_time(), '{schema}.meta'::regclass::oid)";

    /// <summary>A statement that fails with a division by zero where the server is not adopted, and so rolls its transaction back.</summary>
    public static string Check(string schema) => $"SELECT 1 / count(*) FROM {schema}.meta WHERE {IsAdopted(schema)}";

    /// <summary>The condition of the row of meta of an adopted server. A statement that has it must divide by zero where there is no such row.</summary>
    public static string IsAdopted(string schema) => $"adopted = {Server(schema)}";

    /// <summary>Whether a transaction was rolled back because of <see cref="Check"/>.</summary>
    public static bool IsMissing(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.DivisionByZero };

    /// <summary>Raises the revisions, unless another process has done so for this server.</summary>
    public static async Task<int> EnsureAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken = default)
    {
        using var command = new NpgsqlCommand(
            Invariant($"""
            WITH adopted AS (UPDATE {schema}.meta SET adopted = {Server(schema)} WHERE adopted <> {Server(schema)} RETURNING true)
            SELECT setval('{schema}.revisions', greatest(
                {LastRevision.Of(schema)} + {RaisedBy}, floor(extract(epoch FROM clock_timestamp()))::bigint << {BitsBelowSecond}))
            FROM adopted
            """),
            connection)
        {
            CommandTimeout = Link.AnswerSecondsMax,
        };
        return await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }
}
