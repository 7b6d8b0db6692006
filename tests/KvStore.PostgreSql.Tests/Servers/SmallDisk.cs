using System.Diagnostics;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>A file system of a few megabytes in memory, which belongs to the user of the server. Only root can mount it.</summary>
internal sealed class SmallDisk : IDisposable
{
    private SmallDisk(string directory) => Path = directory;

    public string Path { get; }

    public static SmallDisk Mount(int megabytes)
    {
        var disk = new SmallDisk(Directory.CreateTempSubdirectory("kvpg-disk-").FullName);
        Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m,uid=nobody,mode=700", "tmpfs", disk.Path);
        return disk;
    }

    /// <summary>Makes more space.</summary>
    public void Resize(int megabytes) => Run("mount", "-o", $"remount,size={megabytes}m", Path);

    public void Dispose()
    {
        Run("umount", Path);
        Directory.Delete(Path);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        process.ExitCode.Should().Be(0, "{0} {1} says: {2}", program, string.Join(' ', arguments), error);
    }
}
