using System.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.CrashTests;

/// <summary>Who may read what, and what stands under the names of files without being one.</summary>
public sealed class FilePermissionTests : IDisposable
{
    private const UnixFileMode UserOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-permission-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [RealPartFact(RealPart.Unix)]
    public async Task By_default_only_the_user_of_the_process_may_read_anything()
    {
        var directory = Path.Combine(_root, "a", "b");
        await WriteAsync(directory, new FilePersistenceOptions { LargeValueBytes = 1024, LogFileBytes = 4096 });

        foreach (var path in new[] { directory, Path.Combine(_root, "a") })
        {
            Mode(path).Should().Be(UserOnly | UnixFileMode.UserExecute);
        }

        foreach (var path in Directory.GetFiles(directory))
        {
            Mode(path).Should().Be(UserOnly, path);
        }
    }

    [RealPartFact(RealPart.Unix)]
    public async Task An_option_lets_others_in_and_what_exists_is_left_alone()
    {
        var directory = Path.Combine(_root, "data");
        var options = new FilePersistenceOptions { UnixFileMode = UserOnly | UnixFileMode.GroupRead | UnixFileMode.GroupWrite };
        await WriteAsync(directory, options);

        Mode(directory).Should().Be(
            UserOnly | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute);
        var log = Directory.GetFiles(directory, "*.log").Single();
        Mode(log).Should().Be(options.UnixFileMode);

        // Opened with other options: the directory and the files that there are keep what they have.
        var before = Mode(directory);
        await WriteAsync(directory, new FilePersistenceOptions());
        Mode(directory).Should().Be(before);
        Mode(log).Should().Be(options.UnixFileMode);
        Mode(Directory.GetFiles(directory, "*.log").Max()!).Should().Be(UserOnly);
    }

    [Theory]
    [InlineData(UnixFileMode.UserRead)]
    [InlineData(UserOnly | UnixFileMode.UserExecute)]
    [InlineData(UserOnly | UnixFileMode.SetUser)]
    public void A_mode_that_cannot_work_is_refused(UnixFileMode mode)
    {
        var act = () => new FilePersistence(_root, new FilePersistenceOptions { UnixFileMode = mode });

        act.Should().Throw<ArgumentOutOfRangeException>().WithMessage("*FilePersistenceOptions.UnixFileMode*");
    }

    [RealPartTheory(RealPart.Linux)]
    [InlineData("00000000000000000001.log")]
    [InlineData("00000000000000000001.snapshot")]
    [InlineData("00000000000000000001.value")]
    [InlineData("manifest")]
    [InlineData("lock")]
    public async Task A_pipe_that_has_the_name_of_a_file_is_an_error_and_holds_up_nobody(string name)
    {
        await WriteAsync(_root, new FilePersistenceOptions { LargeValueBytes = 1024 });
        File.Delete(Path.Combine(_root, name));
        using (var process = Process.Start("mkfifo", Path.Combine(_root, name)))
        {
            await process.WaitForExitAsync();
        }

        foreach (var isReadOnly in new[] { false, true })
        {
            await using var persistence = new FilePersistence(_root, new FilePersistenceOptions { ReadOnly = isReadOnly });
            var act = async () => await persistence.OpenAsync(new DictionaryHost());

            (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage($"*{name}*");
        }
    }

    [RealPartFact(RealPart.Unix)]
    public void A_file_system_that_cannot_flush_directories_says_so()
    {

        NativeFlush.Directory(_root).Should().BeNull();

        // A device answers as such file systems do.
        NativeFlush.Directory("/dev/null").Should().Contain("22");
        var act = () => NativeFlush.Directory(Path.Combine(_root, "none"));
        act.Should().Throw<IOException>();
    }

    [Fact]
    public async Task Feature_that_the_file_system_lacks_shows_in_the_health_and_writes_go_on()
    {
        var disk = new SimulatedDisk { Weakness = "It cannot flush directories." };
        await using var host = await Stores.OpenAsync(disk);

        await host.PutAsync("a", "one");
        await host.Persistence.CompactAsync();

        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        host.Persistence.Health.Reason.Should().Be("It cannot flush directories.");
    }

    private static UnixFileMode Mode(string path) => OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(path);

    private static async Task WriteAsync(string directory, FilePersistenceOptions options)
    {
        await using var host = await DictionaryHost.OpenAsync(new FilePersistence(directory, options));
        await host.PutAsync("a", new string('v', 3000));
        await host.PutLargeAsync("large", new string('L', 2000));
        if (Directory.GetFiles(directory, "*.snapshot").Length == 0 && options.LogFileBytes == 4096)
        {
            await host.Persistence.CompactAsync();
            await host.PutAsync("b", new string('v', 3000));
        }
    }
}
