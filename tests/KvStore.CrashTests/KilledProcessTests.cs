namespace KvStore.CrashTests;

/// <summary>
/// The process ends at any step of the disk, the next one finds what the operating system still had in memory and goes on,
/// and then the power fails: what the second one showed to readers must not be lost with the first one's memory.
/// </summary>
public sealed class KilledProcessTests
{
    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task What_was_recovered_after_a_kill_survives_a_power_cut(Durability durability)
    {
        var options = Stores.Small with { Durability = durability };
        for (var step = 1; ; step++)
        {
            var disk = new SimulatedDisk();
            disk.CutAt(step);
            var isComplete = await WorkAsync(disk, options);

            var killed = disk.AfterKill();
            var host = await Stores.OpenAsync(killed, options);
            var recovered = host.State;
            for (var seed = 0; seed < 4; seed++)
            {
                var after = await Stores.StateOfAsync(killed.Restart(seed));
                after.Should().Equal(recovered, "the process was killed at step {0}, the power cut with seed {1}", step, seed);
            }

            if (isComplete)
            {
                step.Should().BeGreaterThan(50);
                break;
            }
        }
    }

    private static async Task<bool> WorkAsync(SimulatedDisk disk, FilePersistenceOptions options)
    {
        try
        {
            var host = await Stores.OpenAsync(disk, options);
            for (var i = 0; i < 40; i++)
            {
                await host.PutAsync($"key {i % 5}", $"value {i} {new string('v', i * 17 % 500)}");
                if (i % 8 == 3)
                {
                    await host.PutLargeAsync("large", $"{i}{new string('L', 2000)}");
                }

                if (i % 15 == 10)
                {
                    await host.Persistence.CompactAsync();
                }
            }

            await host.Persistence.DisposeAsync();
            return true;
        }
        catch (Exception) when (disk.IsOff)
        {
            return false;
        }
    }
}
