using System.Diagnostics;
using System.Globalization;

namespace KvStore.RealParts;

/// <summary>Finds and runs the programs of PostgreSQL. A server refuses to run as root, so the user nobody runs it then.</summary>
public static class PostgreSqlPrograms
{
    /// <summary>
    /// The directory of the programs, or null: <c>KVSTORE_POSTGRESQL_BIN</c>, or the newest version where Debian has them.
    /// </summary>
    public static string? Installed =>
        Environment.GetEnvironmentVariable("KVSTORE_POSTGRESQL_BIN") is { Length: > 0 } chosen ? chosen
        : !Directory.Exists("/usr/lib/postgresql") ? null
        : Directory.GetDirectories("/usr/lib/postgresql")
            .Where(static directory => File.Exists(Path.Combine(directory, "bin", "initdb")))
            .OrderByDescending(static directory => int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out var version) ? version : 0)
            .Select(static directory => Path.Combine(directory, "bin"))
            .FirstOrDefault();

    /// <summary>Makes an empty directory for a server.</summary>
    public static async Task<string> CreateDirectoryAsync(string prefix)
    {
        var directory = Directory.CreateTempSubdirectory(prefix).FullName;
        if (Environment.IsPrivilegedProcess)
        {
            await RunAsync("chown", "nobody", directory);
        }

        return directory;
    }

    /// <summary>Runs a program by its path, as the user of the server.</summary>
    /// <exception cref="InvalidOperationException">It ended with another code than 0.</exception>
    public static Task RunAsServerAsync(string path, params string[] arguments) => Environment.IsPrivilegedProcess
        ? RunAsync("setpriv", ["--reuid=nobody", "--regid=nogroup", "--clear-groups", path, .. arguments])
        : RunAsync(path, arguments);

    /// <summary>Runs a program.</summary>
    /// <exception cref="InvalidOperationException">It ended with another code than 0.</exception>
    public static async Task RunAsync(string program, params string[] arguments)
    {
        // Not redirected: a server that is started inherits the pipes, which then never end.
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1 </dev/null", program, .. arguments])
        {
            WorkingDirectory = "/",
        })!;
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
        }
    }
}
