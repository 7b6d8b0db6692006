namespace KvStore.PostgreSql.Schema;

/// <summary>The tables, as a script.</summary>
internal static class SchemaScript
{
    /// <summary>The version of the tables. A process refuses any other.</summary>
    public const int Version = 3;

    private const long RevisionMax = (1L << 60) - 1;

    /// <summary>How many partitions the changes rotate through.</summary>
    public const int Slots = 8;

    /// <summary>For how long changes go into one partition.</summary>
    public const int SlotSeconds = 600;

    /// <summary>The script.</summary>
    /// <param name="schema">A checked name.</param>
    public static string Of(string schema) => $"""
        CREATE SCHEMA IF NOT EXISTS {schema};

        -- One row. The epoch is another one in every copy of the database. The revisions were raised for the server that adopted names. Changes of transactions before changes_floor may have been removed.
        CREATE TABLE IF NOT EXISTS {schema}.meta (
            id boolean PRIMARY KEY DEFAULT true CHECK (id),
            version int NOT NULL,
            epoch uuid NOT NULL DEFAULT gen_random_uuid(),
            system_identifier bigint NOT NULL,
            adopted text NOT NULL DEFAULT '',
            changes_floor xid8 NOT NULL DEFAULT pg_current_xact_id());
        INSERT INTO {schema}.meta (version, system_identifier)
            SELECT {Version}, system_identifier FROM pg_control_system()
            ON CONFLICT (id) DO NOTHING;

        -- The id follows from the name, so that it is the same when a row is lost.
        CREATE TABLE IF NOT EXISTS {schema}.namespaces (
            id int PRIMARY KEY,
            name text COLLATE "C" NOT NULL UNIQUE);

        -- Orders the mutations of each key. Never set it back. A process has 60 bits for a revision.
        CREATE SEQUENCE IF NOT EXISTS {schema}.revisions AS bigint MAXVALUE {RevisionMax};

        -- The newest state of each key. expires is in half seconds since 1970. A deleted key keeps its row for an hour.
        CREATE TABLE IF NOT EXISTS {schema}.entries (
            namespace int NOT NULL,
            key bytea NOT NULL,
            revision bigint NOT NULL,
            expires bigint,
            rounding smallint NOT NULL DEFAULT 0,
            large bigint,
            large_bytes bigint,
            deleted_at timestamptz,
            metadata bytea NOT NULL DEFAULT '',
            value bytea NOT NULL DEFAULT '',
            PRIMARY KEY (namespace, key)) WITH (fillfactor = 90);
        ALTER TABLE {schema}.entries ALTER COLUMN value SET STORAGE EXTERNAL;
        CREATE INDEX IF NOT EXISTS entries_expires ON {schema}.entries (namespace, expires) WHERE expires IS NOT NULL;
        CREATE INDEX IF NOT EXISTS entries_deleted ON {schema}.entries (namespace, deleted_at) WHERE deleted_at IS NOT NULL;
        CREATE INDEX IF NOT EXISTS entries_large ON {schema}.entries (large) WHERE large IS NOT NULL;

        -- Which keys changed in which transaction, and to which revisions; one row for all keys of a statement, in partitions that are truncated in turn.
        CREATE TABLE IF NOT EXISTS {schema}.changes (
            namespace int NOT NULL,
            slot smallint NOT NULL DEFAULT (floor(extract(epoch FROM now()) / {SlotSeconds})::bigint % {Slots})::smallint,
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            revisions bigint[] NOT NULL,
            keys bytea[] NOT NULL) PARTITION BY LIST (slot);
        ALTER TABLE {schema}.changes ALTER COLUMN revisions SET STORAGE EXTERNAL, ALTER COLUMN keys SET STORAGE EXTERNAL;
        {string.Concat(Enumerable.Range(0, Slots).Select(slot => Invariant($"""
        CREATE TABLE IF NOT EXISTS {schema}.changes_{slot} PARTITION OF {schema}.changes FOR VALUES IN ({slot}) WITH (toast_tuple_target = 8160);

        """)))}CREATE INDEX IF NOT EXISTS changes_xid ON {schema}.changes (namespace, xid);

        -- One row for each group of writes, so that a process that lost its connection can find out whether the group was committed. The ids grow with the time.
        CREATE TABLE IF NOT EXISTS {schema}.commits (
            id uuid PRIMARY KEY,
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            is_fence boolean NOT NULL DEFAULT false,
            at timestamptz NOT NULL DEFAULT now());

        -- Values that are not kept in memory, in parts.
        CREATE TABLE IF NOT EXISTS {schema}.large_values (
            id bigint NOT NULL,
            part int NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            unreferenced_since timestamptz,
            bytes bytea NOT NULL,
            PRIMARY KEY (id, part));
        ALTER TABLE {schema}.large_values ALTER COLUMN bytes SET STORAGE EXTERNAL;
        """;
}
