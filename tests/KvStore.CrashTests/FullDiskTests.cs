using System.Diagnostics;

namespace KvStore.CrashTests;

/// <summary>A disk that is really full: a small file system in memory, which takes root to mount.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-full-").FullName;
    private bool _isMounted;

    public void Dispose()
    {
        if (_isMounted)
        {
            Run("umount", _directory);
        }

        Directory.Delete(_directory, recursive: true);
    }

    [RealPartTheory(RealPart.Mounts)]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task A_full_disk_fails_the_puts_and_loses_nothing_that_was_acknowledged(Durability durability)
    {
        _isMounted = Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", _directory) == 0;
        _isMounted.Should().BeTrue();
        var options = new FilePersistenceOptions { Durability = durability, LogFileBytes = 512 * 1024, LargeValueBytes = 64 * 1024 };
        var persistence = new FilePersistence(_directory, options);
        var host = await DictionaryHost.OpenAsync(persistence);
        var states = new List<SortedDictionary<string, string>> { host.State };
        KvPersistenceException? failure = null;
        for (var i = 0; failure is null; i++)
        {
            try
            {
                await host.PutAsync($"key {i:D5}", new string('v', 20_000));
                if (durability != Durability.Immediate && i % 10 == 9)
                {
                    await persistence.FlushAsync();
                }
            }
            catch (KvPersistenceException e)
            {
                failure = e;
            }
        }

        failure.ToString().Should().Contain("No space left on device");
        var count = host.State.Count;
        count.Should().BePositive();
        persistence.Health.Status.Should().Be(KvPersistenceStatus.Degraded);

        // A delete goes where the log has kept space for it.
        await host.DeleteAsync("key 00000");
        host.State.Should().HaveCount(--count);
        await persistence.DisposeAsync();

        // Room for what opening writes.
        foreach (var spare in Directory.EnumerateFiles(_directory, "*.tmp"))
        {
            File.Delete(spare);
        }

        var again = await DictionaryHost.OpenAsync(new FilePersistence(_directory, options with { ReadOnly = true }));
        await using (again.Persistence)
        {
            again.Recovery.Damages.Should().BeEmpty();
            again.State.Keys.Should().Equal(Enumerable.Range(1, count).Select(i => $"key {i:D5}"));
        }
    }

    private static int Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
