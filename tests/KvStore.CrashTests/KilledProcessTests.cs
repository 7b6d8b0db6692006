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
    public async Task Data_recovered_after_a_kill_survives_a_power_cut(Durability durability)
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

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Buffered)]
    public async Task A_power_cut_while_the_next_process_opens_loses_nothing_that_was_flushed(Durability durability)
    {
        var options = Stores.Small with { Durability = durability };
        var isComplete = false;
        for (var step = 1; !isComplete; step += 3)
        {
            for (var second = 1; ; second++)
            {
                var disk = new SimulatedDisk();
                disk.CutAt(step);
                var states = new List<SortedDictionary<string, string>>();
                isComplete = await WorkAsync(disk, options, states);
                var killed = disk.AfterKill();
                killed.CutAt(second);
                var isOpened = true;
                try
                {
                    await Stores.OpenAsync(killed, options);
                }
                catch (Exception) when (killed.IsOff)
                {
                    isOpened = false;
                }

                for (var seed = 0; seed < 4; seed++)
                {
                    var after = await Stores.StateOfAsync(killed.Restart(seed < 2 ? seed : (step * 31) + (second * 7) + seed));
                    var possible = durability == Durability.Immediate ? states.TakeLast(2) : states;
                    possible.Should().Contain(
                        state => state.SequenceEqual(after),
                        "the process was killed at step {0}, the power cut at step {1} of the next, with seed {2}", step, second, seed);
                }

                if (isOpened)
                {
                    break;
                }
            }
        }
    }

    private static async Task<bool> WorkAsync(
        SimulatedDisk disk, FilePersistenceOptions options, List<SortedDictionary<string, string>>? states = null)
    {
        var model = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Note();
        try
        {
            var host = await Stores.OpenAsync(disk, options);
            for (var i = 0; i < 40; i++)
            {
                model[$"key {i % 5}"] = $"value {i} {new string('v', i * 17 % 500)}";
                Note();
                await host.PutAsync($"key {i % 5}", model[$"key {i % 5}"]);
                if (i % 8 == 3)
                {
                    model["large"] = $"{i}{new string('L', 2000)}";
                    Note();
                    await host.PutLargeAsync("large", model["large"]);
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

        // Before it is written, so the last one is the one that may be on its way.
        void Note() => states?.Add(new(model));
    }
}
