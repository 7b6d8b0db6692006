using KvStore.PostgreSql;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace KvStore;

/// <summary>Puts a registered namespace into PostgreSQL.</summary>
public static class KvPostgreSqlBuilderExtensions
{
    /// <summary>
    /// Keeps the namespace in PostgreSQL, where other processes share it: <c>services.AddKvNamespace("CACHE_KV", kv =>
    /// kv.UsePostgreSql(connectionString))</c>. The section <c>KvStore:{name}:PostgreSql</c> of the configuration overrides the connection
    /// string and the options, one setting at a time.
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

        return Use(builder, _ => new PostgreSqlEngine(() => KvPostgreSql.SourceOf(connectionString), ownsDataSource: true, options));
    }

    /// <summary>
    /// Keeps the namespace in PostgreSQL, with a data source of the container or of the caller. The section <c>KvStore:{name}:PostgreSql</c> of
    /// the configuration overrides the options; a <c>ConnectionString</c> there is used in the place of the data source.
    /// </summary>
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
        return Use(builder, services => new PostgreSqlEngine(() => dataSource?.Invoke(services) ?? Registered(services, builder.Name), ownsDataSource: false, options));
    }

    private static KvNamespaceBuilder Use(KvNamespaceBuilder builder, Func<IServiceProvider, PostgreSqlEngine> engine) => builder
        .Configure((services, options) => options with { Engine = engine(services) })
        .AddSection(PostgreSqlSettings.Section, static (_, section, options) => PostgreSqlSettings.Apply(section, options));

    private static NpgsqlDataSource Registered(IServiceProvider services, string name) => services.GetService<NpgsqlDataSource>()
        ?? throw new InvalidOperationException(
            $"The KV namespace \"{name}\" has no connection to PostgreSQL. Register an {nameof(NpgsqlDataSource)}, call {nameof(UsePostgreSql)} with a connection string, or set {PostgreSqlSettings.PathOf(name)}.");
}
