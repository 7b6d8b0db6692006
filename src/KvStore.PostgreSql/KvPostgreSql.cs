using KvStore.PostgreSql;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Schema;
using Npgsql;

namespace KvStore;

/// <summary>Opens namespaces that PostgreSQL keeps and that many processes share.</summary>
public static class KvPostgreSql
{
    /// <summary>Opens a namespace: loads all of its entries into memory, and follows the writes of other processes from then on.</summary>
    /// <param name="name">The name of the namespace; all processes that use it share its entries.</param>
    /// <param name="dataSource">
    /// The connections, which stay the property of the caller. Use <see cref="NpgsqlMultiHostDataSource"/> with
    /// <see cref="TargetSessionAttributes.Primary"/> for a cluster with failover.
    /// </param>
    /// <param name="options">How this process uses the database; null for the defaults.</param>
    /// <param name="namespaceOptions">Limits, memory, clock and logging; null for the defaults. It has neither persistence nor replication.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it.</exception>
    /// <exception cref="KvPersistenceException">
    /// The database cannot be reached, is no PostgreSQL of version 13 or later, or has no tables that fit; the message says which.
    /// </exception>
    public static async ValueTask<KvNamespace> OpenAsync(
        string name,
        NpgsqlDataSource dataSource,
        KvPostgreSqlOptions? options = null,
        KvNamespaceOptions? namespaceOptions = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        return await OpenAsync(name, dataSource, ownsDataSource: false, options, namespaceOptions, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens a namespace with a connection string. See the other overload.</summary>
    /// <param name="name">The name of the namespace.</param>
    /// <param name="connectionString">An Npgsql connection string.</param>
    /// <param name="options">How this process uses the database; null for the defaults.</param>
    /// <param name="namespaceOptions">Limits, memory, clock and logging; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>The namespace, which the caller disposes.</returns>
    /// <exception cref="ArgumentException">The connection string or an option is not valid; the message names it.</exception>
    /// <exception cref="KvPersistenceException">The namespace cannot be opened; the message says why.</exception>
    public static async ValueTask<KvNamespace> OpenAsync(
        string name,
        string connectionString,
        KvPostgreSqlOptions? options = null,
        KvNamespaceOptions? namespaceOptions = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(connectionString);
        return await OpenAsync(name, SourceOf(connectionString), ownsDataSource: true, options, namespaceOptions, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// The script that creates the tables, for administrators whose applications may not create any. <c>docs/postgresql.md</c> lists the
    /// rights that an application needs afterwards.
    /// </summary>
    /// <param name="schema">The schema: <see cref="KvPostgreSqlOptions.Schema"/>.</param>
    /// <returns>The script for psql. It does nothing where the tables exist.</returns>
    /// <exception cref="ArgumentException">The schema is not a name that <see cref="KvPostgreSqlOptions.Schema"/> may have.</exception>
    public static string Script(string schema = "kvstore")
    {
        new KvPostgreSqlOptions { Schema = schema }.Validate();
        return SchemaScript.Of(schema);
    }

    internal static NpgsqlDataSource SourceOf(string connectionString)
    {
        try
        {
            return NpgsqlDataSource.Create(connectionString);
        }
        catch (ArgumentException e)
        {
            throw new ArgumentException(ConnectionStringError.Describe(connectionString, e), nameof(connectionString));
        }
    }

    private static async ValueTask<KvNamespace> OpenAsync(
        string name, NpgsqlDataSource dataSource, bool ownsDataSource, KvPostgreSqlOptions? options, KvNamespaceOptions? namespaceOptions, CancellationToken cancellationToken)
    {
        PostgreSqlEngine engine;
        try
        {
            engine = new PostgreSqlEngine(dataSource, ownsDataSource, options ?? new KvPostgreSqlOptions());
        }
        catch
        {
            if (ownsDataSource)
            {
                await dataSource.DisposeAsync().ConfigureAwait(false);
            }

            throw;
        }

        try
        {
            return await KvNamespace.OpenAsync(name, (namespaceOptions ?? new KvNamespaceOptions()) with { Engine = engine }, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            // Does nothing where the engine has closed itself.
            await engine.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
