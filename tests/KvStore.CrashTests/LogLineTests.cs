namespace KvStore.CrashTests;

/// <summary>What an operator reads of a failure: which directory it is about.</summary>
public sealed class LogLineTests
{
    [Fact]
    public async Task When_the_disk_fails_the_log_names_the_directory()
    {
        var log = new LogLines();
        var disk = new SimulatedDisk();
        await using var kv = await OpenAsync(disk, log);
        disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush")
            {
                throw new IOException("Input/output error");
            }
        };

        await kv.Awaiting(it => it.PutAsync("k", "v").AsTask()).Should().ThrowAsync<KvPersistenceException>();

        // The caller does not wait for the logger.
        while (!log.Warnings.Any())
        {
            await Task.Delay(1);
        }

        log.Warnings.Should().ContainMatch("Critical The disk failed under disk/;*");
    }

    [Fact]
    public async Task When_compaction_fails_the_log_names_the_directory()
    {
        var log = new LogLines();
        var disk = new SimulatedDisk();
        await using var kv = await OpenAsync(disk, log);
        disk.BeforeStep = (_, name) =>
        {
            if (name.Contains("snapshot", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device");
            }
        };

        for (var i = 0; !log.Warnings.Any(); i++)
        {
            await kv.PutAsync($"key {i % 5}", new byte[500]);
        }

        log.Warnings.Should().ContainMatch("Error Compaction of disk/ failed;*");
    }

    private static ValueTask<KvNamespace> OpenAsync(SimulatedDisk disk, LogLines log) =>
        KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = Stores.On(disk, Stores.Small with { CompactionBytesMin = 16 * 1024 }),
            LoggerFactory = log,
        });
}
