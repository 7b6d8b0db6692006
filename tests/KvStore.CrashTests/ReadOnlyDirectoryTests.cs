using System.Diagnostics;

namespace KvStore.CrashTests;

/// <summary>To read only: nothing is written, no permission to write is needed, and readers do not exclude each other.</summary>
public sealed class ReadOnlyDirectoryTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-readonly-").FullName;
    private readonly string _directory;

    public ReadOnlyDirectoryTests() => _directory = Path.Combine(_root, "data");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Two_readers_read_at_the_same_time_and_change_nothing()
    {
        await WriteSomeAsync();
        var before = Content();

        await using (var first = await ReadAsync())
        await using (var second = await ReadAsync())
        {
            first.State.Should().HaveCount(3);
            second.State.Should().Equal(first.State);
            first.Persistence.Health.Status.Should().Be(KvPersistenceStatus.ReadOnly);
        }

        Content().Should().BeEquivalentTo(before);
    }

    [Fact]
    public async Task A_directory_without_the_files_of_locks_is_read_as_well()
    {
        await WriteSomeAsync();
        File.Delete(Path.Combine(_directory, "lock"));
        File.Delete(Path.Combine(_directory, "lock.pid"));

        await using (var reader = await ReadAsync())
        {
            reader.State.Should().HaveCount(3);
        }

        File.Exists(Path.Combine(_directory, "lock")).Should().BeFalse();
    }

    [Fact]
    public async Task Reader_beside_a_writer_is_refused_with_what_to_do()
    {
        await using var writer = await DictionaryHost.OpenAsync(new FilePersistence(_directory));
        await writer.PutAsync("a", "one");

        var error = (await ((Func<Task>)ReadAsync).Should().ThrowAsync<KvDirectoryLockedException>()).Which;

        error.ProcessId.Should().Be(Environment.ProcessId);
        error.Message.Should().Contain("SnapshotAsync").And.Contain("open the copy");
        await writer.Persistence.SnapshotAsync(Path.Combine(_root, "copy"));
        await using var copy = await DictionaryHost.OpenAsync(
            new FilePersistence(Path.Combine(_root, "copy"), new FilePersistenceOptions { ReadOnly = true }));
        copy.State.Should().Equal(writer.State);
    }

    [Fact]
    public async Task Copy_of_a_directory_that_is_only_read_is_refused_with_what_to_do()
    {
        await WriteSomeAsync();
        await using var reader = await ReadAsync();

        var copy = () => reader.Persistence.SnapshotAsync(Path.Combine(_root, "copy")).AsTask();

        (await copy.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*ReadOnly, and makes no copy: open it without, or copy its files*");
        Directory.Exists(Path.Combine(_root, "copy")).Should().BeFalse();
    }

    [Fact]
    public void Directory_with_a_nul_is_refused_at_once() =>
        FluentActions.Invoking(() => new FilePersistence("a\0b")).Should().Throw<ArgumentException>().WithMessage("The directory contains U+0000*").And.ParamName.Should().Be("directory");

    [Fact]
    public async Task Writer_beside_a_reader_is_refused_with_the_reason()
    {
        await WriteSomeAsync();
        await using (var reader = await ReadAsync())
        {
            var write = () => DictionaryHost.OpenAsync(new FilePersistence(_directory));

            (await write.Should().ThrowAsync<KvDirectoryLockedException>()).WithMessage("*ReadOnly*");
        }

        await WriteSomeAsync();
    }

    [RealPartFact(RealPart.OtherUsers)]
    public async Task A_user_who_may_only_read_reads()
    {
        await WriteSomeAsync(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        Chmod("755", _root);
        Chmod("-R", "go-w", _directory);

        (await RunAsNobodyAsync()).Should().Be("3 entries, ReadOnly");

        Chmod("700", _directory);
        (await RunAsNobodyAsync()).Should().StartWith("KvPersistenceException: " + _directory);
        Chmod("755", _directory);
        Chmod("600", Path.Combine(_directory, "manifest"));
        (await RunAsNobodyAsync()).Should().StartWith("KvPersistenceException: " + _directory).And.Contain("manifest");
    }

    [RealPartFact(RealPart.Mounts)]
    public async Task A_file_system_that_is_mounted_to_be_read_only_is_read()
    {
        Directory.CreateDirectory(_directory);
        Run("mount", "-t", "tmpfs", "none", _directory).Should().Be(0);
        try
        {
            await WriteSomeAsync();
            Run("mount", "-o", "remount,ro", _directory).Should().Be(0);

            await using (var reader = await ReadAsync())
            {
                reader.State.Should().HaveCount(3);
            }

            var write = () => DictionaryHost.OpenAsync(new FilePersistence(_directory));
            (await write.Should().ThrowAsync<KvPersistenceException>()).WithMessage($"*{_directory}*cannot be opened*Read-only*");
        }
        finally
        {
            Run("umount", _directory).Should().Be(0);
        }
    }

    private static void Chmod(params string[] arguments) => Run("chmod", arguments).Should().Be(0);

    private static int Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    private async Task<string> RunAsNobodyAsync()
    {
        // Nobody may read what was built, which often lies below a home directory; a copy they may.
        var program = Path.Combine(_root, "program");
        if (!Directory.Exists(program))
        {
            Run("cp", "-r", AppContext.BaseDirectory, program).Should().Be(0);
            Chmod("-R", "a+rX", program);
        }

        var dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        using var child = Process.Start(new ProcessStartInfo(
            "setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", dotnet, Path.Combine(program, "KvStore.CrashChild.dll"), "read", _directory])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
            Environment = { ["HOME"] = "/" },
        })!;
        var errors = child.StandardError.ReadToEndAsync();
        var output = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync();
        output.Should().NotBeEmpty(await errors);
        return output.Trim();
    }

    private Dictionary<string, string> Content() =>
        Directory.GetFiles(_directory).ToDictionary(
            path => Path.GetFileName(path)!, path => $"{File.GetLastWriteTimeUtc(path).Ticks} {Convert.ToBase64String(File.ReadAllBytes(path))}");

    private Task<DictionaryHost> ReadAsync() =>
        DictionaryHost.OpenAsync(new FilePersistence(_directory, new FilePersistenceOptions { ReadOnly = true }));

    private async Task WriteSomeAsync(UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        await using var host = await DictionaryHost.OpenAsync(
            new FilePersistence(_directory, new FilePersistenceOptions { LargeValueBytes = 1024, UnixFileMode = mode }));
        await host.PutAsync("a", "one");
        await host.PutAsync("b", "two");
        await host.PutLargeAsync("large", new string('L', 2000));
    }
}
