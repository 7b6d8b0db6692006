using Npgsql;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>How a test reaches a shared server: which version, and whether through PgBouncer in transaction mode.</summary>
public sealed class Route
{
    private readonly PostgreSqlVersion _version;
    private readonly bool _isPooled;
    private readonly Lazy<Task<NpgsqlDataSource>> _shared;

    private Route(PostgreSqlVersion version, bool isPooled)
    {
        (_version, _isPooled) = (version, isPooled);
        _shared = new Lazy<Task<NpgsqlDataSource>>(async () => NpgsqlDataSource.Create(await ConnectionStringAsync()));
    }

    public static Route Direct { get; } = new(PostgreSqlVersion.Packaged, isPooled: false);

    public static Route Pooled { get; } = new(PostgreSqlVersion.Packaged, isPooled: true);

    public static Route Direct18 { get; } = new(PostgreSqlVersion.Eighteen, isPooled: false);

    public static Route Pooled18 { get; } = new(PostgreSqlVersion.Eighteen, isPooled: true);

    /// <summary>
    /// Connections that the tests share, so that a namespace is opened without a new one. They end with the server.
    /// </summary>
    internal Task<NpgsqlDataSource> DataSource => _shared.Value;

    /// <summary>The options of a namespace that nobody sweeps. Notifications cannot be received through a pooler.</summary>
    internal KvPostgreSqlOptions Options => new() { SweepInterval = Timeout.InfiniteTimeSpan, UseNotifications = !_isPooled };

    /// <summary>The connection string for the database <c>postgres</c>.</summary>
    internal async Task<string> ConnectionStringAsync() =>
        _isPooled ? await Pooler.ConnectionStringFor(_version) : (await PostgreSqlServer.SharedOf(_version)).ConnectionString;

    public override string ToString() => $"{_version}{(_isPooled ? " pooled" : "")}";
}
