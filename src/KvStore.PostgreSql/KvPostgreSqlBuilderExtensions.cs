using KvStore.PostgreSql;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace KvStore;

/// <summary>Puts a registered namespace into PostgreSQL.</summary>
public static class KvPostgreSqlBuilderExtensions
{
    /// <summary>
    /// Keeps the namespace in PostgreSQL, where other processes share it: <c>services.AddKvNamespace("CACHE_KV", kv =>
    /// kv.UsePostgreSql(connectionString))</c>.
    /// </summary>
    /// <param name="builder">The namespace.</param>
    /// <param name="connectionString">An Npgsql connection string.</param>
    /// <param name="options">How this process uses the database; null for the defaults.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">The connection string or an option is not valid; the message names it.</exception>
    public static KvNamespaceBuilder UsePostgreSql(this KvNamespaceBuilder builder, string connectionString, KvPostgreSqlOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(connectionString);
        options ??= new KvPostgreSqlOptions();
        options.Validate();
        using (KvPostgreSql.SourceOf(connectionString))
        {
            // Checked here, so that a wrong connection string fails where it is written.
        }

        return builder.Configure(o => o with { Engine = new PostgreSqlEngine(KvPostgreSql.SourceOf(connectionString), ownsDataSource: true, options) });
    }

    /// <summary>Keeps the namespace in PostgreSQL, with a data source of the container or of the caller.</summary>
    /// <param name="builder">The namespace.</param>
    /// <param name="dataSource">Finds the data source, which the namespace does not dispose; null for the registered <see cref="NpgsqlDataSource"/>.</param>
    /// <param name="options">How this process uses the database; null for the defaults.</param>
    /// <returns>The same builder.</returns>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it.</exception>
    public static KvNamespaceBuilder UsePostgreSql(
        this KvNamespaceBuilder builder, Func<IServiceProvider, NpgsqlDataSource>? dataSource = null, KvPostgreSqlOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        options ??= new KvPostgreSqlOptions();
        options.Validate();
        dataSource ??= static services => services.GetRequiredService<NpgsqlDataSource>();
        return builder.Configure((services, o) => o with { Engine = new PostgreSqlEngine(dataSource(services), ownsDataSource: false, options) });
    }
}
