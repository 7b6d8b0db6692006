namespace KvStore.PostgreSql.Schema;

/// <summary>The last revision that the database has given.</summary>
/// <remarks>
/// The row of a sequence must not be read as that of a table while others take numbers: every 33rd time the server puts the number that
/// it logs, 32 later, into the row for a moment, where a query sees it. The function reads the row under its lock. It returns null before the first
/// number, and after the sequence was restarted; then the row says where it begins. It is asked again, in case somebody took a number in between.
/// </remarks>
internal static class LastRevision
{
    /// <summary>The expression of it, which never falls unless somebody sets the sequence back.</summary>
    public static string Of(string schema) =>
        $"coalesce({Taken(schema)}, (SELECT last_value FROM {schema}.revisions WHERE NOT is_called), {Taken(schema)})";

    private static string Taken(string schema) => $"pg_sequence_last_value('{schema}.revisions')";
}
