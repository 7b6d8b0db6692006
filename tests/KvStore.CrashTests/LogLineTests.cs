using KvStore.Persistence.Log;
using Microsoft.Extensions.Logging;

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

        log.Warnings.Should().ContainMatch("Critical The disk failed under disk/;*");
    }

    [Fact]
    public async Task When_compaction_fails_the_log_names_the_directory()
    {
        var log = new LogLines();
        var disk = new SimulatedDisk();
        var hasFailed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        log.Written += line => hasFailed.TrySetIfContains(line, "ompaction");
        await using var kv = await OpenAsync(disk, log);
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "create" && name.Contains("snapshot", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device");
            }
        };

        for (var i = 0; i < 200; i++)
        {
            await kv.PutAsync("k", new byte[500]);
        }

        await hasFailed.Task;
        log.Warnings.Should().ContainMatch("Error Compaction of disk/ failed;*");
    }
}
