using System.Diagnostics;

namespace KvStore.RealPartsTests.Parts;

/// <summary>A file system of a few megabytes, mounted in a directory of its own. Only root can.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _image;

    private SmallDisk(string directory, string image)
    {
        Directory = directory;
        _image = image;
    }

    public string Directory { get; }

    public static SmallDisk Mount(string kind, int megabytes)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("kvstore-disk-").FullName;
        var disk = new SmallDisk(directory, directory + ".image");
        if (kind == "tmpfs")
        {
            Run("mount", "-t", "tmpfs", "-o", $"size={megabytes}m", "tmpfs", directory);
        }
        else
        {
            using (var image = File.Create(disk._image))
            {
                image.SetLength(megabytes * 1024L * 1024L);
            }

            Run("mkfs.ext4", "-q", "-m", "0", disk._image);
            Run("mount", "-o", "loop", disk._image, directory);
        }

        return disk;
    }

    public void Dispose()
    {
        Run("umount", Directory);
        System.IO.Directory.Delete(Directory);
        File.Delete(_image);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        process.ExitCode.Should().Be(0, "{0} {1} says: {2}", program, string.Join(' ', arguments), error);
    }
}
