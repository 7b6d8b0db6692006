using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>
/// A PostgreSQL server of its own, in a temporary directory, on a Unix socket there, as a user without privileges. It is not safe from
/// a power cut, and so much faster.
/// </summary>
internal sealed class PostgreSqlServer : IAsyncDisposable
{
    private const int Port = 5432;

    private static readonly Dictionary<PostgreSqlVersion, Lazy<Task<PostgreSqlServer>>> s_shared =
        Enum.GetValues<PostgreSqlVersion>().ToDictionary(static version => version, static version => new Lazy<Task<PostgreSqlServer>>(() => StartSharedAsync(version)));

    private readonly string _directory;
    private readonly string _programs;
    private readonly bool _hasStandby;

    private PostgreSqlServer(string directory, string programs, bool hasStandby) => (_directory, _programs, _hasStandby) = (directory, programs, hasStandby);

    /// <summary>The server that the tests share which do not stop it. Stopped when the last test has run.</summary>
    public static Task<PostgreSqlServer> Shared => SharedOf(PostgreSqlVersion.Packaged);

    /// <summary>The connection string for the database <c>postgres</c>.</summary>
    public string ConnectionString =>
        $"Host={_directory};Port={Port};Username=postgres;Database=postgres;Timeout=5;Command Timeout=20;Maximum Pool Size=50;Include Error Detail=true";

    /// <summary>The directory of the socket, which is a host for clients.</summary>
    public string Host => _directory;

    /// <summary>The socket.</summary>
    public string Socket => Path.Combine(_directory, string.Create(CultureInfo.InvariantCulture, $".s.PGSQL.{Port}"));

    private string Data => Path.Combine(_directory, "data");

    private string ProcessFile => Path.Combine(Data, "postmaster.pid");

    /// <summary>The server of a version that the tests share which do not stop it. Stopped when the last test has run.</summary>
    public static Task<PostgreSqlServer> SharedOf(PostgreSqlVersion version) => s_shared[version].Value;

    /// <summary>Makes a server and starts it.</summary>
    /// <param name="version">The version.</param>
    /// <param name="hasStandby">Whether it may have a standby.</param>
    /// <param name="logDirectory">An empty directory for the write-ahead log, in files of 1 MiB; null for the directory of the data.</param>
    public static async Task<PostgreSqlServer> StartNewAsync(
        PostgreSqlVersion version = PostgreSqlVersion.Packaged, bool hasStandby = false, string? logDirectory = null)
    {
        var server = await NewAsync(version == PostgreSqlVersion.Eighteen ? Installed.PostgreSql18! : Installed.PostgreSql!, hasStandby);
        await server.RunAsServerAsync(
            "initdb",
            ["-D", server.Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", .. logDirectory is null ? [] : (string[])["-X", logDirectory, "--wal-segsize=1"]]);
        await server.StartAsync();
        return server;
    }

    /// <summary>Makes a standby of this server and starts it. It streams what the server writes.</summary>
    /// <param name="primary">How the standby reaches the server, as the driver of C writes it.</param>
    public async Task<PostgreSqlServer> StartStandbyAsync(string primary)
    {
        var standby = await NewAsync(_programs, hasStandby: true);
        await standby.RunAsServerAsync("pg_basebackup", "-D", standby.Data, "-d", primary, "-R", "-X", "stream", "-c", "fast", "--no-sync");
        await standby.StartAsync();
        return standby;
    }

    /// <summary>Makes a standby the primary.</summary>
    public Task PromoteAsync() => RunAsServerAsync("pg_ctl", "-D", Data, "-w", "-t", "60", "promote");

    /// <summary>Starts the server after it was stopped or killed.</summary>
    public async Task StartAsync()
    {
        // A killed server leaves children that end soon, and until then it does not start.
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await RunAsServerAsync(
                    "pg_ctl", "-D", Data, "-w", "-t", "60", "-l", Path.Combine(_directory, "log"), "-o",
                    $"-k {_directory} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=200 {(_hasStandby ? "-c wal_level=replica" : "-c max_wal_senders=0 -c wal_level=minimal")} -c autovacuum=off -c shared_buffers=32MB", "start");
                return;
            }
            catch (InvalidOperationException) when (attempt < 30)
            {
                await Task.Delay(200);
            }
        }
    }

    /// <summary>Whether the server runs, be it to recover.</summary>
    public async Task<bool> IsRunningAsync()
    {
        try
        {
            await RunAsServerAsync("pg_ctl", "-D", Data, "status");
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Stops the server without waiting for its clients.</summary>
    public Task StopAsync() => RunAsServerAsync("pg_ctl", "-D", Data, "-w", "-t", "60", "-m", "immediate", "stop");

    /// <summary>Kills the server, as the kernel does when it is out of memory.</summary>
    public void Kill()
    {
        var pid = int.Parse(File.ReadLines(ProcessFile).First(), CultureInfo.InvariantCulture);
        Process.GetProcessById(pid).Kill();
    }

    /// <summary>Dumps a database.</summary>
    /// <returns>The file, which goes with the server.</returns>
    public async Task<string> DumpAsync(string database)
    {
        var file = Path.Combine(_directory, $"{database}.dump");
        await RunAsServerAsync("pg_dump", "-h", _directory, "-U", "postgres", "-Fc", "-f", file, database);
        return file;
    }

    /// <summary>Restores a dump into an empty database.</summary>
    public Task RestoreAsync(string database, string file) =>
        RunAsServerAsync("pg_restore", "-h", _directory, "-U", "postgres", "-d", database, "--exit-on-error", file);

    /// <summary>Makes an empty database.</summary>
    /// <returns>Its connection string.</returns>
    public async Task<string> CreateDatabaseAsync()
    {
        var name = $"d{Guid.NewGuid():N}";
        await ExecuteAsync(ConnectionString, $"CREATE DATABASE {name}");
        return new NpgsqlConnectionStringBuilder(ConnectionString) { Database = name }.ConnectionString;
    }

    /// <summary>Runs statements.</summary>
    public static async Task<object?> ExecuteAsync(string connectionString, string statements)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(statements, connection);
        return await command.ExecuteScalarAsync();
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await StopAsync();
        }
        catch (InvalidOperationException)
        {
            // It does not run.
        }

        // By a process of its own, which goes on when the tests have ended: there are thousands of files.
        await PostgreSqlPrograms.RunAsync("rm", "-rf", _directory);
    }

    private static async Task<PostgreSqlServer> NewAsync(string programs, bool hasStandby) =>
        new(await PostgreSqlPrograms.CreateDirectoryAsync("kvpg-"), programs, hasStandby);

    private static async Task<PostgreSqlServer> StartSharedAsync(PostgreSqlVersion version)
    {
        var server = await StartNewAsync(version);
        EndOfTests.Stop(server._directory, server.ProcessFile, "QUIT");
        return server;
    }

    private Task RunAsServerAsync(string program, params string[] arguments) =>
        PostgreSqlPrograms.RunAsServerAsync(Path.Combine(_programs, program), arguments);
}
