using System.Diagnostics;
using System.Globalization;
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

    private static readonly Lazy<PostgreSqlServer> s_shared = new(static () => new PostgreSqlServer(Programs!));

    private readonly string _programs;
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-comparisons-").FullName;

    private PostgreSqlServer(string programs)
    {
        _programs = programs;
        if (Environment.IsPrivilegedProcess)
        {
            Start("chown", "nobody", _directory);
        }

        AppDomain.CurrentDomain.ProcessExit += (_, _) => Stop();
        Start(Program("initdb", "-D", Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"));
        Start(Program("pg_ctl", "-D", Data, "-w", "-t", "60", "-l", Path.Combine(_directory, "log"), "-o", $"-k {_directory} {Settings}", "start"));
    }

    /// <summary>Why there is no server on this machine; null when there can be one.</summary>
    public static string? MissingBecause => Programs is null ? "no PostgreSQL is installed; Debian's package is postgresql" : null;

    /// <summary>The server, which is started when it is first needed.</summary>
    public static PostgreSqlServer Shared => s_shared.Value;

    private static string? Programs =>
        Environment.GetEnvironmentVariable("KVSTORE_POSTGRESQL_BIN") is { Length: > 0 } chosen ? chosen
        : !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.GetDirectories("/usr/lib/postgresql")
            .Where(static directory => File.Exists(Path.Combine(directory, "bin", "initdb")))
            .OrderByDescending(static directory => int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var version) ? version : 0)
            .Select(static directory => Path.Combine(directory, "bin"))
            .FirstOrDefault();

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

    private static void Start(string program, params string[] arguments) => Start([program, .. arguments]);

    private static void Start(string[] command)
    {
        // Not redirected: a server that is started inherits the pipes, which then never end.
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1 </dev/null", .. command]) { WorkingDirectory = "/" })!;
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{string.Join(' ', command)} ended with {process.ExitCode}.");
        }
    }

    private string ConnectionStringOf(string database) => $"Host={_directory};Username=postgres;Database={database}";

    private string[] Program(string name, params string[] arguments) =>
        Environment.IsPrivilegedProcess
            ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", Path.Combine(_programs, name), .. arguments]
            : [Path.Combine(_programs, name), .. arguments];

    private void Stop()
    {
        try
        {
            Start(Program("pg_ctl", "-D", Data, "-w", "-t", "60", "-m", "immediate", "stop"));
        }
        catch (InvalidOperationException)
        {
            // It has not started.
        }

        Start("rm", "-rf", _directory);
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
            Start(server.Program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", server._directory, "-U", "postgres", "-d", name, "-c", command));

        public void Dispose()
        {
            NpgsqlConnection.ClearAllPools();
            PostgreSqlServer.Execute(server.ConnectionStringOf("postgres"), $"DROP DATABASE {name} WITH (FORCE)");
        }
    }
}
