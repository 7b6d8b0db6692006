using KvStore.RealParts;
using Npgsql;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// A PostgreSQL server of its own in a temporary directory, on a Unix socket there. It flushes every commit, as a server does that
/// keeps its promises. All questions share one; it ends with the program.
/// </summary>
internal sealed class PostgreSqlServer
{
    private const string Settings =
        "-c listen_addresses= -c max_connections=300 -c shared_buffers=256MB -c max_wal_size=4GB -c checkpoint_timeout=30min";

    private static readonly Lazy<PostgreSqlServer> s_shared = new(static () => new PostgreSqlServer(PostgreSqlPrograms.Installed!));

    private readonly string _programs;
    private readonly string _directory;

    private PostgreSqlServer(string programs)
    {
        (_programs, _directory) = (programs, PostgreSqlPrograms.CreateDirectoryAsync("kvstore-comparisons-").GetAwaiter().GetResult());
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Stop();
        Run("initdb", "-D", Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync");
        Run("pg_ctl", "-D", Data, "-w", "-t", "60", "-l", Path.Combine(_directory, "log"), "-o", $"-k {_directory} {Settings}", "start");
    }

    /// <summary>Why there is no server on this machine; null when there can be one.</summary>
    public static string? MissingBecause => PostgreSqlPrograms.Installed is null ? "no PostgreSQL is installed; Debian's package is postgresql" : null;

    /// <summary>The server, which is started when it is first needed.</summary>
    public static PostgreSqlServer Shared => s_shared.Value;

    private string Data => Path.Combine(_directory, "data");

    /// <summary>Makes an empty database.</summary>
    public Database CreateDatabase()
    {
        var name = $"d{Guid.NewGuid():N}";
        Execute(ConnectionStringOf("postgres"), $"CREATE DATABASE {name}");
        return new Database(this, name);
    }

    private static void Execute(string connectionString, string statements)
    {
        using var connection = new NpgsqlConnection(connectionString);
        connection.Open();
        using var command = new NpgsqlCommand(statements, connection) { CommandTimeout = 0 };
        command.ExecuteNonQuery();
    }

    private string ConnectionStringOf(string database) => $"Host={_directory};Username=postgres;Database={database}";

    private void Run(string program, params string[] arguments) =>
        PostgreSqlPrograms.RunAsServerAsync(Path.Combine(_programs, program), arguments).GetAwaiter().GetResult();

    private void Stop()
    {
        try
        {
            Run("pg_ctl", "-D", Data, "-w", "-t", "60", "-m", "immediate", "stop");
        }
        catch (InvalidOperationException)
        {
            // It has not started.
        }

        PostgreSqlPrograms.RunAsync("rm", "-rf", _directory).GetAwaiter().GetResult();
    }

    /// <summary>A database, which is dropped with this object.</summary>
    internal sealed class Database(PostgreSqlServer server, string name) : IDisposable
    {
        /// <summary>The connection string, with Npgsql's defaults for the rest.</summary>
        public string ConnectionString => server.ConnectionStringOf(name);

        /// <summary>A file that server and psql can read and write.</summary>
        public string PathOf(string file) => Path.Combine(server._directory, file);

        public void Execute(string statements) => PostgreSqlServer.Execute(ConnectionString, statements);

        /// <summary>Runs a command of psql.</summary>
        public void Psql(string command) =>
            server.Run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", server._directory, "-U", "postgres", "-d", name, "-c", command);

        public void Dispose()
        {
            NpgsqlConnection.ClearAllPools();
            PostgreSqlServer.Execute(server.ConnectionStringOf("postgres"), $"DROP DATABASE {name} WITH (FORCE)");
        }
    }
}
