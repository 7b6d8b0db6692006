using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.LargeValues;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Sweeping;

namespace KvStore.PostgreSql.Writes;

/// <summary>The statements of <see cref="WriteTransaction"/> and <see cref="ManyPuts"/>, which are there once for each namespace.</summary>
/// <remarks>
/// <c>$1</c> is the number of the namespace and <c>$2</c> the keys. Statements that write entries have the columns of the entries as
/// <c>$2</c> to <c>$8</c>. A statement that changes entries notes the changes as well, and returns key, revision and touched revision.
/// </remarks>
internal sealed class WriteStatements(string schema)
{
    private const string Columns = "key, value, metadata, expires, rounding, large, large_bytes";

    // An array is null where all its elements are: see StatementBatch.Array. Unnested beside the keys, it gives a null for each.
    private const string Values = $"u.key, u.value, {Metadata}, u.expires, {Rounding}, u.large, u.large_bytes";
    private const string Metadata = "coalesce(u.metadata, '')";
    private const string Rounding = "coalesce(u.rounding, 0::smallint)";

    public string CheckServer { get; } = Adoption.Check(schema);

    public string CheckLargeValues { get; } = LargeValueCheck.Statement(schema);

    public string AddCommit { get; } = $"INSERT INTO {schema}.commits (id) VALUES ($1)";

    /// <summary>
    /// Puts one entry: a whole transaction, with the number of the transaction as <c>$9</c>. It fails on a server that is not adopted.
    /// <c>$10</c> says that the key has a row, so that no revision is taken in vain for an insert. Where it has none after all, it fails in
    /// the same way.
    /// </summary>
    public string PutOne { get; } =
        $"""
        WITH w AS (
            INSERT INTO {schema}.entries AS e (namespace, {Columns}, revision)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, {InsertRevision(schema)}
            FROM {schema}.meta WHERE {Adoption.IsAdopted(schema)}
            ON CONFLICT (namespace, key) {Overwrite(schema)}
            RETURNING e.revision),
        c AS (INSERT INTO {schema}.changes (namespace, keys, revisions) SELECT $1, ARRAY[$2], ARRAY[revision] FROM w),
        m AS (INSERT INTO {schema}.commits (id) SELECT $9 FROM w)
        SELECT max(revision), 1 / count(*) FILTER (WHERE revision > 0) FROM w
        """;

    /// <summary>
    /// Puts many entries in the order of <c>$2</c>: a whole transaction, as <see cref="PutOne"/>. Returns the revisions, and their keys where
    /// those are not in the order of <c>$2</c>.
    /// </summary>
    public string PutAll { get; } =
        $"""
        WITH w AS (
            INSERT INTO {schema}.entries AS e (namespace, {Columns}, revision)
            SELECT $1, {Values}, {InsertRevision(schema)}
            FROM {schema}.meta, unnest($2, $3, $4, $5, $6, $7, $8) AS u ({Columns}) WHERE {Adoption.IsAdopted(schema)}
            ON CONFLICT (namespace, key) {Overwrite(schema)}
            RETURNING e.key, e.revision),
        c AS ({Changes(schema)} RETURNING keys, revisions),
        m AS (INSERT INTO {schema}.commits (id) SELECT $9 FROM c)
        SELECT (SELECT revisions FROM c), (SELECT keys FROM c WHERE keys <> $2), 1 / (SELECT count(*) FROM c)
        """;

    /// <summary>All rows in the order of the keys, before several statements write them in another order.</summary>
    public string Lock { get; } = $"SELECT key FROM {schema}.entries WHERE namespace = $1 AND key = ANY ($2) ORDER BY key FOR UPDATE";

    public string PutInOrderOfKeys { get; } = Put(schema, "u.key", condition: "");

    public string PutInOrderOfCalls { get; } = Put(schema, "u.place", condition: "");

    /// <summary>Puts where there is no entry.</summary>
    public string PutAbsent { get; } = Put(schema, "u.key", $"WHERE e.deleted_at IS NOT NULL OR e.expires <= {DatabaseClock.Now("$9")}");

    /// <summary>Puts where an entry has one of some revisions.</summary>
    public string Replace { get; } = UpdateAlive(
        schema,
        $"value = u.value, metadata = {Metadata}, expires = u.expires, rounding = {Rounding}, large = u.large, large_bytes = u.large_bytes",
        $"unnest($2, $3, $4, $5, $6, $7, $8, $10, $11) AS u ({Columns}, revision_min, revision_max)",
        now: "$9");

    /// <summary>Deletes where an entry has one of some revisions.</summary>
    public string Delete { get; } = UpdateAlive(
        schema,
        "value = '', metadata = '', large = NULL, large_bytes = NULL, expires = NULL, rounding = 0, deleted_at = now()",
        "unnest($2, $4, $5) AS u (key, revision_min, revision_max)",
        now: "$3");

    public string Touch { get; } =
        $"""
        WITH touched AS (
            SELECT e.key, e.revision, u.expires, u.rounding
            FROM unnest($2, $4, $5, $6, $7) AS u (key, expires, rounding, revision_min, revision_max)
            JOIN {schema}.entries e ON e.namespace = $1 AND e.key = u.key AND {IsAlive("$3")} AND e.revision BETWEEN u.revision_min AND u.revision_max),
        w AS (
            UPDATE {schema}.entries e SET expires = t.expires, rounding = t.rounding, revision = nextval('{schema}.revisions')
            FROM touched t WHERE e.namespace = $1 AND e.key = t.key
            RETURNING e.key, e.revision, t.revision AS touched),
        c AS ({Changes(schema)})
        SELECT key, revision, touched FROM w
        """;

    /// <summary>The revisions that keys have after the transaction.</summary>
    public string Standing { get; } =
        $"SELECT e.key, e.revision FROM {schema}.entries e WHERE e.namespace = $1 AND e.key = ANY ($2) AND {IsAlive("$3")}";

    /// <summary>What a transaction has changed.</summary>
    public string ReadBack { get; } =
        $"""
        SELECT u.key, u.revision, 0::bigint
        FROM {schema}.commits m JOIN {schema}.changes c ON c.xid = m.xid AND c.namespace = $1, unnest(c.keys, c.revisions) AS u (key, revision)
        WHERE m.id = $2
        """;

    /// <summary>See <see cref="Sweeper.KeepExpired"/>.</summary>
    public string KeepExpired { get; } = Sweeper.KeepExpired(schema);

    public string TakeRevisions { get; } = $"SELECT array_agg(nextval('{schema}.revisions')) FROM generate_series(1, $1)";

    /// <summary>Puts where rows exist and are locked.</summary>
    public string Update { get; } =
        $"""
        UPDATE {schema}.entries e SET value = u.value, metadata = {Metadata}, expires = u.expires, rounding = {Rounding},
            large = u.large, large_bytes = u.large_bytes, deleted_at = NULL, revision = u.revision
        FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS u ({Columns}, revision)
        WHERE e.namespace = $1 AND e.key = u.key
        """;

    public string Copy { get; } =
        $"COPY {schema}.entries (namespace, key, revision, expires, rounding, large, large_bytes, metadata, value) FROM STDIN (FORMAT BINARY)";

    public string AddChanges { get; } = $"INSERT INTO {schema}.changes (namespace, keys, revisions) VALUES ($1, $2, $3)";

    private static string Put(string schema, string order, string condition) =>
        $"""
        WITH w AS (
            INSERT INTO {schema}.entries AS e (namespace, {Columns}, revision)
            SELECT $1, {Values}, nextval('{schema}.revisions')
            FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY AS u ({Columns}, place)
            ORDER BY {order}
            ON CONFLICT (namespace, key) {Overwrite(schema)} {condition}
            RETURNING e.key, e.revision),
        c AS ({Changes(schema)})
        SELECT key, revision, 0::bigint FROM w
        """;

    // The revision is taken here, under the lock of the row.
    private static string Overwrite(string schema) =>
        $"""
        DO UPDATE SET value = EXCLUDED.value, metadata = EXCLUDED.metadata, expires = EXCLUDED.expires,
                rounding = EXCLUDED.rounding, large = EXCLUDED.large, large_bytes = EXCLUDED.large_bytes, deleted_at = NULL,
                revision = nextval('{schema}.revisions')
        """;

    // Where an entry has one of the revisions of its row of `writes`.
    private static string UpdateAlive(string schema, string columns, string writes, string now) =>
        $"""
        WITH w AS (
            UPDATE {schema}.entries e SET {columns}, revision = nextval('{schema}.revisions')
            FROM {writes}
            WHERE e.namespace = $1 AND e.key = u.key AND {IsAlive(now)} AND e.revision BETWEEN u.revision_min AND u.revision_max
            RETURNING e.key, e.revision),
        c AS ({Changes(schema)})
        SELECT key, revision, 0::bigint FROM w
        """;

    private static string InsertRevision(string schema) => $"CASE WHEN $10 THEN 0 ELSE nextval('{schema}.revisions') END";

    // A revision of 0 is that of an insert which nobody expected.
    private static string Changes(string schema) =>
        $"INSERT INTO {schema}.changes (namespace, keys, revisions) SELECT $1, array_agg(key), array_agg(revision) FROM w HAVING min(revision) > 0";

    private static string IsAlive(string parameter) => $"e.deleted_at IS NULL AND (e.expires IS NULL OR e.expires > {DatabaseClock.Now(parameter)})";
}
