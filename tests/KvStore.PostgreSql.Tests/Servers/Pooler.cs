using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>PgBouncer in transaction mode before a shared server: each transaction may have another connection to the server.</summary>
internal static class Pooler
{
    private static readonly Dictionary<PostgreSqlVersion, Lazy<Task<string>>> s_shared =
        Enum.GetValues<PostgreSqlVersion>().ToDictionary(static version => version, static version => new Lazy<Task<string>>(() => StartAsync(version)));

    /// <summary>The connection string for the database <c>postgres</c> through the pooler. It runs until the last test has run.</summary>
    public static Task<string> ConnectionString => ConnectionStringFor(PostgreSqlVersion.Packaged);

    /// <summary>The connection string for the database <c>postgres</c> of the shared server of a version through the pooler.</summary>
    public static Task<string> ConnectionStringFor(PostgreSqlVersion version) => s_shared[version].Value;

    private static async Task<string> StartAsync(PostgreSqlVersion version)
    {
        var server = await PostgreSqlServer.SharedOf(version);
        var directory = Directory.CreateTempSubdirectory("kvbouncer-").FullName;
        var port = FreePort();
        await File.WriteAllTextAsync(Path.Combine(directory, "users"), "\"postgres\" \"\"\n");
        var configuration = Path.Combine(directory, "pgbouncer.ini");
        await File.WriteAllTextAsync(configuration, string.Create(CultureInfo.InvariantCulture, $"""
            [databases]
            * = host={Path.GetDirectoryName(server.Socket)} port=5432
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            pidfile = {directory}/pid
            auth_type = trust
            auth_file = {directory}/users
            pool_mode = transaction
            default_pool_size = 4
            max_client_conn = 500
            ignore_startup_parameters = extra_float_digits

            """));
        string[] command = Environment.IsPrivilegedProcess
            ? ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", Installed.PgBouncer!, "-q", configuration]
            : [Installed.PgBouncer!, "-q", configuration];
        if (Environment.IsPrivilegedProcess)
        {
            using var owner = Process.Start("chown", ["-R", "nobody", directory]);
            await owner.WaitForExitAsync();
        }

        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { WorkingDirectory = "/" })!;
        EndOfTests.Stop(directory, Path.Combine(directory, "pid"), "TERM");
        var connectionString = new NpgsqlConnectionStringBuilder(server.ConnectionString)
        {
            Host = "127.0.0.1",
            Port = port,
            NoResetOnClose = true,
            SslMode = SslMode.Disable,
        }.ConnectionString;
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await PostgreSqlServer.ExecuteAsync(connectionString, "SELECT 1");
                return connectionString;
            }
            catch (NpgsqlException) when (TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(50);
            }
        }
    }

    private static int FreePort()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        return port;
    }
}
