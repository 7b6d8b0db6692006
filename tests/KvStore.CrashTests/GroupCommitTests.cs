using System.Diagnostics.CodeAnalysis;

namespace KvStore.CrashTests;

public sealed class GroupCommitTests
{
    [Fact]
    public async Task All_that_wait_at_the_same_time_share_one_flush()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { LogFileBytes = 1 << 20 });
        using var atFlush = new ManualResetEventSlim();
        using var proceed = new ManualResetEventSlim();
        var flushes = 0;
        disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush" && Interlocked.Increment(ref flushes) == 1)
            {
                atFlush.Set();
                proceed.Wait();
            }
        };

        var first = host.PutAsync("first", "x");
        atFlush.Wait();
        var others = Enumerable.Range(0, 100).Select(i => host.PutAsync($"key {i}", "x")).ToArray();
        others.Should().OnlyContain(put => !put.IsCompleted);
        host.State.Should().BeEmpty("nothing is visible before it is on the disk");
        proceed.Set();
        await first;
        await Task.WhenAll(others);

        flushes.Should().Be(2);
        host.State.Should().HaveCount(101);
    }

    [Fact]
    public async Task A_caller_that_blocks_where_it_is_completed_holds_up_nobody_else()
    {
        var disk = new SimulatedDisk();
        await using var persistence = Stores.On(disk);
        await persistence.OpenAsync(new DictionaryHost());
        var revision = 0L;
        var gate = new Lock();
        ValueTask AppendAsync()
        {
            lock (gate)
            {
                return persistence.AppendAsync(new KvMutation { Key = "k"u8.ToArray(), Value = "v"u8.ToArray(), Revision = ++revision });
            }
        }

        async Task PutThenBlockAsync()
        {
            await AppendAsync().ConfigureAwait(false);

            // Bad manners, but it must not stop the log: this runs where the put was completed.
            AppendAsync().AsTask().Wait();
            AppendAsync().AsTask().Wait();
        }

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => PutThenBlockAsync())).WaitAsync(TimeSpan.FromSeconds(60));

        revision.Should().Be(30);
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    [SuppressMessage("Reliability", "CA2012", Justification = "Whether they are completed is what is asked.")]
    public async Task In_the_relaxed_modes_a_put_completes_at_once_and_allocates_nothing(Durability durability)
    {
        var disk = new SimulatedDisk();
        await using var persistence = Stores.On(disk, Stores.Small with { Durability = durability, LogFileBytes = 1 << 20 });
        await persistence.OpenAsync(new DictionaryHost());
        var mutation = new KvMutation { Key = "key"u8.ToArray(), Value = new byte[30], Revision = 1 };
        persistence.AppendAsync(mutation).IsCompletedSuccessfully.Should().BeTrue();

        // Less than what is gathered before it is written, so that nobody else does anything meanwhile.
        var before = GC.GetAllocatedBytesForCurrentThread();
        var areCompleted = true;
        for (var i = 0; i < 500; i++)
        {
            areCompleted &= persistence.AppendAsync(mutation).IsCompletedSuccessfully;
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);
        areCompleted.Should().BeTrue();
    }

    [Fact]
    public async Task With_an_interval_everything_is_on_the_disk_when_it_has_passed()
    {
        var time = new FakeTimeProvider();
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Interval, Interval = TimeSpan.FromSeconds(2) }, time);
        await host.PutAsync("a", "one");
        (await Stores.StateOfAsync(SimulatedDisk.With(disk.Files))).Should().BeEmpty("it is not even written");
        var flushed = new TaskCompletionSource();
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "flush")
            {
                flushed.TrySetResult();
            }
        };

        time.Advance(TimeSpan.FromSeconds(2));
        await flushed.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await host.Persistence.FlushAsync();

        (await Stores.StateOfAsync(disk.Restart(0))).Should().ContainKey("a");
    }

    [Fact]
    public async Task Buffered_puts_are_handed_to_the_operating_system_when_the_interval_has_passed()
    {
        var time = new FakeTimeProvider();
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered }, time);
        await host.PutAsync("a", "one");
        var written = new TaskCompletionSource();
        var flushes = 0;
        disk.BeforeStep = (operation, name) => flushes += operation == "flush" ? 1 : 0;
        time.Advance(TimeSpan.FromSeconds(1));
        while (!(await Stores.StateOfAsync(SimulatedDisk.With(disk.Files))).ContainsKey("a"))
        {
            await Task.Yield();
        }

        flushes.Should().Be(0);
        await host.Persistence.FlushAsync();
        flushes.Should().Be(1);
    }

    [Fact]
    public async Task Flushing_what_is_flushed_does_nothing()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutAsync("a", "one");
        var steps = disk.Steps;

        await host.Persistence.FlushAsync();

        disk.Steps.Should().Be(steps);
    }

    [Fact]
    public async Task A_record_longer_than_a_log_file_gets_a_file_of_its_own()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        for (var i = 0; i < 5; i++)
        {
            await host.PutAsync($"large {i}", new string((char)('a' + i), 20_000));
            await host.PutAsync($"small {i}", "x");
        }

        (await Stores.StateOfAsync(disk)).Should().Equal(host.State);
        await host.Persistence.DisposeAsync();
        (await Stores.StateOfAsync(disk)).Should().HaveCount(10);
    }

    [Fact]
    public async Task A_batch_longer_than_a_log_file_is_spread_over_several()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered });
        for (var i = 0; i < 1000; i++)
        {
            await host.PutAsync($"key {i}", new string('v', 100));
        }

        await host.Persistence.FlushAsync();

        disk.Files.Keys.Count(name => name.EndsWith(".log", StringComparison.Ordinal)).Should().BeGreaterThan(20);
        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(host.State);
    }

    [Fact]
    public async Task A_session_that_wrote_nothing_leaves_nothing()
    {
        var disk = await Stores.ClosedAsync(host => host.PutAsync("a", "one"));
        var before = disk.Files.Keys.ToArray();

        for (var i = 0; i < 3; i++)
        {
            await (await Stores.OpenAsync(disk)).Persistence.DisposeAsync();
        }

        disk.Files.Keys.Should().BeEquivalentTo(before);
    }
}
