using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>One writer: the second one fails at once and learns who the first is; a dead one blocks nobody.</summary>
public sealed class DirectoryLockTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-lock-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_second_open_fails_at_once_and_names_the_process()
    {
        await using var first = new FilePersistence(_directory);
        await first.OpenAsync(new DictionaryHost());
        await using var second = new FilePersistence(_directory);

        var act = async () => await second.OpenAsync(new DictionaryHost());

        var thrown = (await act.Should().ThrowAsync<KvDirectoryLockedException>()).Which;
        thrown.ProcessId.Should().Be(Environment.ProcessId);
        thrown.Directory.Should().Be(_directory);
        thrown.Message.Should().Contain($"in process {Environment.ProcessId}, which is this one").And.Contain(_directory);
    }

    [Fact]
    public async Task After_closing_anybody_may_open()
    {
        for (var i = 0; i < 3; i++)
        {
            await using var persistence = new FilePersistence(_directory);
            await persistence.OpenAsync(new DictionaryHost());
        }
    }

    [Fact]
    public async Task A_lock_that_a_dead_process_left_does_not_block()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "lock"), "");
        await File.WriteAllTextAsync(Path.Combine(_directory, "lock.pid"), "1");

        await using var persistence = new FilePersistence(_directory);
        await persistence.OpenAsync(new DictionaryHost());

        (await File.ReadAllTextAsync(Path.Combine(_directory, "lock.pid"))).Should().Be(Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
    }

    [RealPartFact(RealPart.Flock)]
    public async Task A_lock_that_another_process_holds_blocks_until_it_is_killed()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "lock.pid"), "");
        using var holder = Process.Start(new ProcessStartInfo("flock", ["--close", Path.Combine(_directory, "lock"), "sleep", "1000"]))!;
        await File.WriteAllTextAsync(Path.Combine(_directory, "lock.pid"), holder.Id.ToString(CultureInfo.InvariantCulture));
        await using var persistence = new FilePersistence(_directory);
        try
        {
            KvDirectoryLockedException? refusal = null;
            while (refusal is null)
            {
                try
                {
                    // Until the other process is so far.
                    await persistence.OpenAsync(new DictionaryHost());
                    await persistence.DisposeAsync();
                    await File.WriteAllTextAsync(Path.Combine(_directory, "lock.pid"), holder.Id.ToString(CultureInfo.InvariantCulture));
                }
                catch (KvDirectoryLockedException e)
                {
                    refusal = e;
                }
            }

            refusal.ProcessId.Should().Be(holder.Id);
        }
        finally
        {
            holder.Kill(entireProcessTree: true);
            await holder.WaitForExitAsync();
        }

        await persistence.OpenAsync(new DictionaryHost());
        persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task An_open_that_fails_gives_the_directory_back()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "00000000000000000001.log"), "this is no log");
        await using var persistence = new FilePersistence(_directory);
        var act = async () => await persistence.OpenAsync(new DictionaryHost());
        await act.Should().ThrowAsync<KvDamagedFileException>();

        File.Delete(Path.Combine(_directory, "00000000000000000001.log"));

        await act.Should().NotThrowAsync();
    }

    [Fact]
    public async Task To_be_read_only_a_directory_must_exist()
    {
        var directory = Path.Combine(_directory, "none");
        await using var persistence = new FilePersistence(directory, new FilePersistenceOptions { ReadOnly = true });

        var act = async () => await persistence.OpenAsync(new DictionaryHost());

        (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*none does not exist*");
        Directory.Exists(directory).Should().BeFalse();
    }

    [Fact]
    public async Task A_directory_that_cannot_be_used_is_a_clear_error()
    {
        var file = Path.Combine(_directory, "file");
        await File.WriteAllTextAsync(file, "");
        await using var persistence = new FilePersistence(Path.Combine(file, "below"));

        var act = async () => await persistence.OpenAsync(new DictionaryHost());

        (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*cannot be opened*");
    }
}
