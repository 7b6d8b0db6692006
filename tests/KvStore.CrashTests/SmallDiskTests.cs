using System.Collections.Concurrent;

namespace KvStore.CrashTests;

/// <summary>
/// Disks that fill up under many writers, with every durability: what was acknowledged is there after closing, what was refused is not,
/// every call ends, and when there is space again, writes succeed.
/// </summary>
public sealed class SmallDiskTests
{
    private const int Writers = 6;

    [Theory]
    [InlineData(Durability.Immediate, true)]
    [InlineData(Durability.Interval, true)]
    [InlineData(Durability.Buffered, true)]
    [InlineData(Durability.Immediate, false)]
    [InlineData(Durability.Interval, false)]
    [InlineData(Durability.Buffered, false)]
    public async Task Writers_on_a_disk_of_any_size_keep_all_that_was_acknowledged(Durability durability, bool canReserve)
    {
        var refused = 0;
        for (var seed = 0; seed < 40; seed++)
        {
            var random = new Random(seed);
            var disk = new SimulatedDisk { CanReserve = canReserve };
            var options = new FilePersistenceOptions
            {
                Durability = durability,
                LogFileBytes = 4096 << random.Next(5),
                LargeValueBytes = 1024,
                CompactionBytesMin = random.Next(2) == 0 ? 16 * 1024 : 1 << 30,
            };
            var expected = new ConcurrentDictionary<string, string>();
            for (var life = 0; life < 3; life++)
            {
                var host = await Stores.OpenAsync(disk, options);
                host.State.Should().Equal(new SortedDictionary<string, string>(expected, StringComparer.Ordinal), "seed {0}, life {1}", seed, life);
                disk.CapacityBytes = disk.UsedBytes + random.Next(1, 200_000);
                refused += await WriteAsync(host, expected, random);
                host.State.Should().Equal(new SortedDictionary<string, string>(expected, StringComparer.Ordinal), "seed {0}, life {1}", seed, life);
                if (random.Next(3) == 0)
                {
                    // There is space again, at once and for everything.
                    disk.CapacityBytes = long.MaxValue;
                    await host.PutAsync("again", "x").WaitAsync(TimeSpan.FromMinutes(1));
                    await host.PutLargeAsync("again large", new string('L', 3000)).WaitAsync(TimeSpan.FromMinutes(1));
                    await host.Persistence.CompactAsync();
                    host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
                    expected["again"] = "x";
                    expected["again large"] = new string('L', 3000);
                }

                var failure = await FailureAsync(() => host.Persistence.DisposeAsync().AsTask());
                if (canReserve || durability == Durability.Immediate)
                {
                    failure.Should().BeNull("everything has its space, seed {0}, life {1}", seed, life);
                }

                disk = Copy(disk, canReserve);
                if (failure is not null)
                {
                    // As documented for a file system that cannot reserve.
                    expected = new ConcurrentDictionary<string, string>(await Stores.StateOfAsync(disk));
                }
            }
        }

        refused.Should().BePositive("the disks are small");
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Replaced_large_values_on_a_full_disk_go_before_a_put_is_refused(Durability durability)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = durability, LargeValueBytes = 1024 });
        await host.PutLargeAsync("large", new string('0', 30_000));
        await host.Persistence.FlushAsync();

        // Space for one more of them and no second one.
        disk.CapacityBytes = disk.UsedBytes + 45_000;
        for (var i = 1; i < 20; i++)
        {
            await host.PutLargeAsync("large", new string((char)('a' + i), 30_000));
        }

        disk.Files.Keys.Count(name => name.EndsWith(".value", StringComparison.Ordinal)).Should().BeInRange(1, 2);
        await host.Persistence.DisposeAsync();
        (await Stores.StateOfAsync(disk))["large"].Should().Be(new string((char)('a' + 19), 30_000));
    }

    [Fact]
    public async Task Large_value_is_stored_when_space_came_back_after_it_was_refused()
    {
        // The background may remove a replaced file between the refusal and the look at what can be removed. Then there is nothing left.
        using var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered });
        var capacity = disk.CapacityBytes;
        var isRefused = false;
        disk.BeforeStep = (operation, name) =>
        {
            if (name.EndsWith(".value", StringComparison.Ordinal) && operation == "write")
            {
                (disk.CapacityBytes, isRefused) = isRefused ? (capacity, true) : (disk.UsedBytes, true);
            }
        };

        await host.PutLargeAsync("large", new string('x', 30_000));

        isRefused.Should().BeTrue();
        disk.BeforeStep = null;
        await host.Persistence.DisposeAsync();
        (await Stores.StateOfAsync(disk))["large"].Should().HaveLength(30_000);
    }

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Deletes_of_which_only_some_have_space_are_each_made_or_refused(Durability durability)
    {
        const int Keys = 130;
        static string Key(int i) => new string('k', 400) + i;
        using var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, new FilePersistenceOptions { Durability = durability, LogFileBytes = 64 * 1024, CompactionBytesMin = 1 << 30 });
        for (var i = 0; i < Keys; i++)
        {
            await host.PutAsync(Key(i), "v");
        }

        await host.Persistence.FlushAsync();
        disk.CapacityBytes = disk.UsedBytes;

        // Behind a put that fails, all in one batch: the writer waits until they are there.
        using var goes = new ManualResetEventSlim();
        disk.BeforeStep = (_, _) => goes.Wait(TimeSpan.FromMinutes(1));
        var first = FailureAsync(() => host.PutAsync("first", new string('x', 60_000)));
        var second = FailureAsync(() => host.PutAsync("second", new string('x', 60_000)));
        var deletes = Enumerable.Range(0, Keys).Select(i => FailureAsync(() => host.DeleteAsync(Key(i)))).ToArray();
        goes.Set();
        var failures = await Task.WhenAll(deletes);
        await Task.WhenAll(first, second);
        disk.BeforeStep = null;

        disk.CapacityBytes = long.MaxValue;
        host.State.Keys.Where(key => key is not ("first" or "second")).Should()
            .Equal(Enumerable.Range(0, Keys).Where(i => failures[i] is not null).Select(Key).Order(StringComparer.Ordinal));
        failures.Count(failure => failure is null).Should().BeInRange(1, Keys - 1, "the reserve has space for some");
        var state = host.State;
        await host.Persistence.DisposeAsync();
        (await Stores.StateOfAsync(disk)).Should().Equal(state, "a delete that was refused does not come back");
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Reserved_space_is_released_when_the_log_is_finished_or_closed(Durability durability)
    {
        var disk = new SimulatedDisk();
        var options = new FilePersistenceOptions { Durability = durability, LogFileBytes = 64 * 1024, CompactionBytesMin = 1 << 30 };
        var host = await Stores.OpenAsync(disk, options);
        for (var i = 0; i < 200; i++)
        {
            await host.PutAsync($"{i}", new string('v', 1000));
        }

        await host.Persistence.FlushAsync();
        var logs = disk.Files.Keys.Count(name => name.EndsWith(".log", StringComparison.Ordinal));
        logs.Should().BeGreaterThan(2);
        var reserved = disk.UsedBytes - disk.Bytes;
        reserved.Should().BeInRange(1000, (64 * 1024 * 2) + (logs * 512), "the log that is written has reserved space, and no other");

        await host.Persistence.DisposeAsync();
        disk.UsedBytes.Should().BeLessThan(disk.Bytes + (disk.Files.Count * 512));

        // After a kill, the next opening releases it.
        host = await Stores.OpenAsync(disk, options);
        await host.PutAsync("last", "x");
        await host.Persistence.FlushAsync();
        var killed = disk.AfterKill();
        host = await Stores.OpenAsync(killed, options);
        await host.Persistence.DisposeAsync();
        killed.UsedBytes.Should().BeLessThan(killed.Bytes + (killed.Files.Count * 512));
    }

    private static SimulatedDisk Copy(SimulatedDisk disk, bool canReserve)
    {
        var copy = new SimulatedDisk { CanReserve = canReserve };
        foreach (var (name, content) in disk.Files)
        {
            using var file = copy.Create(name);
            file.Write(content, 0);
            file.Flush();
        }

        copy.FlushDirectory();
        return copy;
    }

    private static async Task<int> WriteAsync(DictionaryHost host, ConcurrentDictionary<string, string> expected, Random random)
    {
        var refused = 0;
        var writing = Enumerable.Range(0, Writers).Select(writer =>
        {
            var its = new Random(random.Next());
            return Task.Run(async () =>
            {
                for (var i = 0; i < 60; i++)
                {
                    // Keys of its own, so that what it was told decides what is there.
                    var key = $"{writer}/{its.Next(5)}";
                    var value = new string((char)('a' + its.Next(26)), its.Next(20) switch { < 3 => its.Next(1024, 20_000), _ => its.Next(900) });
                    var isDelete = its.Next(6) == 0;
                    var isTaken = await TryAsync(() => isDelete ? host.DeleteAsync(key) : value.Length >= 1024 ? host.PutLargeAsync(key, value) : host.PutAsync(key, value));
                    if (!isTaken)
                    {
                        Interlocked.Increment(ref refused);
                    }
                    else if (isDelete)
                    {
                        expected.TryRemove(key, out _);
                    }
                    else
                    {
                        expected[key] = value;
                    }
                }
            });
        }).ToArray();
        await Task.WhenAll(writing).WaitAsync(TimeSpan.FromMinutes(2));
        return refused;
    }

    private static async Task<bool> TryAsync(Func<Task> act) => await FailureAsync(act) is null;

    private static async Task<KvPersistenceException?> FailureAsync(Func<Task> act)
    {
        try
        {
            await act().WaitAsync(TimeSpan.FromMinutes(1));
            return null;
        }
        catch (KvPersistenceException e)
        {
            e.ToString().Should().Contain("No space left on device");
            return e;
        }
    }
}
