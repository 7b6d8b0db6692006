namespace KvStore.CrashTests;

/// <summary>A compaction after which nothing was written, and then another one: its snapshot has the number of the one before.</summary>
public sealed class RepeatedCompactionTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_power_cut_at_any_step_of_a_second_compaction_loses_nothing(int seed)
    {
        var isOver = false;
        for (var step = 1; !isOver; step++)
        {
            var disk = new SimulatedDisk();
            var host = await Stores.OpenAsync(disk);
            await host.PutAsync("a", "one");
            await host.PutLargeAsync("b", new string('b', 3000));
            await host.Persistence.CompactAsync();
            var expected = host.State;
            disk.CutAt(disk.Steps + step);
            try
            {
                await host.Persistence.CompactAsync();
                isOver = true;
            }
            catch (Exception) when (disk.IsOff)
            {
                // Cut off at this step.
            }

            (await Stores.StateOfAsync(disk.Restart(seed))).Should().Equal(expected, "the power was cut at step {0}", step);
        }
    }
}
