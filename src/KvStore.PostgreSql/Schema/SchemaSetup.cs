using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using NpgsqlTypes;

namespace KvStore.PostgreSql.Schema;

/// <summary>Checks the server and the tables, and creates the tables where that is allowed.</summary>
internal static class SchemaSetup
{
    // The number of the lock under which tables are created: the letters "KvSt".
    private const long SetupLock = 0x4B765374;

    /// <summary>Makes the tables ready for a namespace.</summary>
    /// <returns>The number of the namespace.</returns>
    /// <exception cref="KvPersistenceException">The server or the tables cannot be used.</exception>
    public static async ValueTask<int> EnsureAsync(NpgsqlConnection connection, KvPostgreSqlOptions options, string name, CancellationToken cancellationToken)
    {
        await CheckServerAsync(connection, cancellationToken).ConfigureAwait(false);
        if (!await ExistsAsync(connection, options.Schema, cancellationToken).ConfigureAwait(false))
        {
            if (!options.CreateSchema)
            {
                throw new KvPersistenceException(
                    $"The database has no tables for KvStore in the schema {options.Schema}, and {nameof(KvPostgreSqlOptions)}.{nameof(KvPostgreSqlOptions.CreateSchema)} is false. Run the script that {nameof(KvPostgreSql)}.{nameof(KvPostgreSql.Script)}() returns.");
            }

            await CreateAsync(connection, options.Schema, cancellationToken).ConfigureAwait(false);
        }

        await CheckVersionAsync(connection, options.Schema, cancellationToken).ConfigureAwait(false);
        await RenewEpochAsync(connection, options.Schema, cancellationToken).ConfigureAwait(false);
        await Adoption.EnsureAsync(connection, options.Schema, cancellationToken).ConfigureAwait(false);
        return await NamespaceAsync(connection, options.Schema, name, cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask CheckServerAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // A question of its own: another product may lack the functions of the second one.
        using var ask = new NpgsqlCommand("SELECT version()", connection);
        var version = (string)(await ask.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
        if (ServerKind.Refusal(version) is { } otherProduct)
        {
            throw new KvPersistenceException(otherProduct);
        }

        using var command = new NpgsqlCommand(
            "SELECT current_setting('server_version_num')::int, EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'pg_visible_in_snapshot'), pg_is_in_recovery()", connection);
        var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (ServerKind.Refusal(version, reader.GetInt32(0), reader.GetBoolean(1)) is { } refusal)
            {
                throw new KvPersistenceException(refusal);
            }

            if (reader.GetBoolean(2))
            {
                throw new KvPersistenceException(
                    "The server is a standby that cannot write. Connect to the primary: set Target Session Attributes=primary for several hosts.");
            }
        }
    }

    private static async ValueTask<bool> ExistsAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand($"SELECT to_regclass('{schema}.meta') IS NOT NULL", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
    }

    private static async ValueTask CreateAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        var transaction = await connection.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            using var command = new NpgsqlCommand(
                Invariant($"SELECT pg_advisory_xact_lock({SetupLock});\n{SchemaScript.Of(schema)}"), connection, transaction);
            try
            {
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
            {
                throw new KvPersistenceException(
                    $"The database has no tables for KvStore in the schema {schema}, and this user may not create them. Have an administrator run the script that {nameof(KvPostgreSql)}.{nameof(KvPostgreSql.Script)}() returns.", e);
            }

            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static async ValueTask CheckVersionAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand($"SELECT version FROM {schema}.meta", connection);
        var version = await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
        if (version is not SchemaScript.Version)
        {
            throw new KvPersistenceException(
                version is null
                    ? $"The table {schema}.meta has no row. Run the script that {nameof(KvPostgreSql)}.{nameof(KvPostgreSql.Script)}() returns again."
                    : Invariant($"The tables in the schema {schema} have version {version}, and this version of KvStore.PostgreSql uses version {SchemaScript.Version}. Update KvStore.PostgreSql in all processes."));
        }
    }

    // A copy of the database on another server is another database from the moment on at which it is used.
    private static async ValueTask RenewEpochAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        using var command = new NpgsqlCommand(
            $"""
            UPDATE {schema}.meta SET epoch = gen_random_uuid(), system_identifier = s.system_identifier
            FROM pg_control_system() s WHERE meta.system_identifier <> s.system_identifier
            """,
            connection);
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<int> NamespaceAsync(NpgsqlConnection connection, string schema, string name, CancellationToken cancellationToken)
    {
        for (var number = NumberOf(name); ; number = number == int.MaxValue ? 1 : number + 1)
        {
            using var find = new NpgsqlCommand($"SELECT id FROM {schema}.namespaces WHERE name = $1", connection);
            find.Parameters.Add(new NpgsqlParameter { Value = name, NpgsqlDbType = NpgsqlDbType.Text });
            if (await find.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is int id)
            {
                return id;
            }

            // Nothing happens where another process has just added the name, or another name has the number.
            using var add = new NpgsqlCommand($"INSERT INTO {schema}.namespaces (id, name) VALUES ($2, $1) ON CONFLICT DO NOTHING", connection);
            add.Parameters.Add(new NpgsqlParameter { Value = name, NpgsqlDbType = NpgsqlDbType.Text });
            add.Parameters.Add(new NpgsqlParameter { Value = number, NpgsqlDbType = NpgsqlDbType.Integer });
            if (await add.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) == 1)
            {
                return number;
            }
        }
    }

    // From the name, so that it is the same after a restore or a failover that has lost the row: processes have the number in memory. A
    // sequence would give it to another name.
    private static int NumberOf(string name) => Math.Max(1, BinaryPrimitives.ReadInt32BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(name))) & int.MaxValue);
}
