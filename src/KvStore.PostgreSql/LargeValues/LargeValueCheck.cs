using Npgsql;

namespace KvStore.PostgreSql.LargeValues;

/// <summary>
/// Checks in the transaction of an entry that the server has its large value. The parts are written before, in transactions of their own. A
/// standby that has taken over since then may lack them, and the sweeper removes the parts of an entry that never came.
/// </summary>
internal static class LargeValueCheck
{
    private const string Marker = "kvstore: parts are missing of";

    /// <summary>What to say when it has failed.</summary>
    public const string Message =
        "The server does not have all parts of the large value any more: another server has taken over, or they were removed. Nothing was written. Put the value again.";

    /// <summary>
    /// A statement that fails where a value is not there as a whole, and so rolls its transaction back. <c>$1</c> has the numbers of the values,
    /// and <c>$2</c> their lengths. Until the transaction ends the sweeper cannot mark them.
    /// </summary>
    /// <remarks>Parts do not change, so a value of the right length is whole. The cast fails where there is something to cast.</remarks>
    public static string Statement(string schema) =>
        $"""
        WITH kept AS MATERIALIZED (
            SELECT id FROM {schema}.large_values WHERE id = ANY ($1) AND part = 0 AND unreferenced_since IS NULL ORDER BY id FOR SHARE)
        SELECT ('{Marker} ' || string_agg(u.id::text, ' '))::int
        FROM unnest($1, $2) AS u (id, bytes)
        WHERE NOT EXISTS (SELECT 1 FROM kept WHERE kept.id = u.id)
            OR u.bytes IS DISTINCT FROM (SELECT sum(octet_length(v.bytes)) FROM {schema}.large_values v WHERE v.id = u.id)
        """;

    /// <summary>Whether a transaction was rolled back because of <see cref="Statement"/>.</summary>
    public static bool HasFailed(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.InvalidTextRepresentation } e && e.MessageText.Contains(Marker, StringComparison.Ordinal);
}
