using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>Many puts with one call on a disk: how often it flushes, and what is there when the power or the disk fails.</summary>
public sealed class PutManyTests
{
    private static readonly FilePersistenceOptions s_large = new() { LargeValueBytes = 64 * 1024 };

    [Theory]
    [InlineData(2)]
    [InlineData(200)]
    [InlineData(16_000)]
    public async Task Put_many_is_on_the_disk_after_one_flush(int count)
    {
        using var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large));
        await host.PutAsync("first", "opens the log");
        var flushes = 0;
        disk.BeforeStep = (operation, name) => flushes += operation == "flush" ? 1 : 0;

        await host.Namespace.PutManyAsync(Entries(count));

        flushes.Should().Be(1);
        (await Stores.StateOfAsync(disk.Restart(0))).Should().HaveCount(count + 1);
    }

    [Fact]
    public async Task Put_many_of_more_than_16_MiB_flushes_once_for_each_16_MiB()
    {
        using var disk = new SimulatedDisk();
        await using var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large with { LogFileBytes = 256 << 20 }));
        await host.PutAsync("first", "opens the log");
        var flushes = 0;
        disk.BeforeStep = (operation, name) => flushes += operation == "flush" ? 1 : 0;
        var value = new byte[32 * 1024];

        await host.Namespace.PutManyAsync([.. Enumerable.Range(0, 1200).Select(i => new KvEntry($"k{i}", value))]);

        flushes.Should().Be(3);
        host.Namespace.Count.Should().Be(1201);
    }

    [Fact]
    public async Task Put_many_is_acknowledged_only_when_all_of_it_is_on_the_disk()
    {
        using var disk = new SimulatedDisk();
        await using var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large));
        await host.PutAsync("first", "opens the log");
        var atFlush = new ManualResetEventSlim();
        var proceed = new ManualResetEventSlim();
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "flush")
            {
                atFlush.Set();
                proceed.Wait();
            }
        };

        var many = host.Namespace.PutManyAsync(Entries(100)).AsTask();
        atFlush.Wait();
        var before = host.Namespace.Count;
        var wasCompleted = many.IsCompleted;
        proceed.Set();
        await many;
        disk.BeforeStep = null;

        wasCompleted.Should().BeFalse();
        before.Should().Be(1, "nothing is visible before it is on the disk");
        host.Namespace.Count.Should().Be(101);
    }

    [Fact]
    public async Task Puts_of_others_do_not_wait_for_ever_beside_callers_that_put_many()
    {
        using var disk = new SimulatedDisk();
        await using var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large));
        using var stop = new CancellationTokenSource();
        var many = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
        {
            var rounds = 0;
            for (; !stop.IsCancellationRequested; rounds++)
            {
                await host.Namespace.PutManyAsync(Entries(500));
            }

            return rounds;
        })).ToArray();

        for (var i = 0; i < 20; i++)
        {
            await host.PutAsync("other", $"{i}").WaitAsync(TimeSpan.FromSeconds(60));
        }

        await stop.CancelAsync();
        (await Task.WhenAll(many).WaitAsync(TimeSpan.FromSeconds(60))).Should().HaveCount(4);
    }

    [Fact]
    public async Task Power_cut_at_any_step_leaves_the_first_entries_and_no_later_ones()
    {
        var wasPart = 0;
        var isComplete = false;
        for (var step = 1; !isComplete; step++)
        {
            using var disk = new SimulatedDisk();
            disk.CutAt(step);
            var acknowledged = -1;
            try
            {
                var host = await NamespaceHost.OpenAsync(Stores.On(disk));
                for (var round = 0; round < 4; round++)
                {
                    await host.Namespace.PutManyAsync(Round(round));
                    acknowledged = round;
                }

                await host.DisposeAsync();
                isComplete = true;
            }
            catch (Exception) when (disk.IsOff)
            {
                // As planned.
            }

            for (var seed = 0; seed < 4; seed++)
            {
                var rounds = (await Stores.StateOfAsync(disk.Restart(seed))).Select(entry => int.Parse(entry.Value.Split(' ')[0], CultureInfo.InvariantCulture)).ToArray();
                var because = $"round {acknowledged} was acknowledged, the power was cut at step {step}, with seed {seed}";
                var begun = rounds.TakeWhile(round => round == acknowledged + 1).Count();
                wasPart += begun is > 0 and < 40 ? 1 : 0;
                rounds.Skip(begun).All(round => round == acknowledged).Should().BeTrue(because);
                (rounds.Length == 40 || acknowledged < 0).Should().BeTrue(because);
            }
        }

        wasPart.Should().BePositive("the power was cut between the files of one call");

        // They fill several log files.
        static KvEntry[] Round(int round) => [.. Enumerable.Range(0, 40).Select(i =>
            new KvEntry($"{i:D3}", FormattableString.Invariant($"{round} {new string('v', i % 20 == 10 ? 2000 : 300)}")))];
    }

    [Fact]
    public async Task Disk_that_is_full_in_the_middle_refuses_the_rest_and_says_how_many_are_written()
    {
        var counts = new HashSet<int>();
        for (var call = 1; call <= 12; call++)
        {
            using var disk = new SimulatedDisk();
            var host = await NamespaceHost.OpenAsync(Stores.On(disk));
            await host.PutAsync("before", "x");
            var fault = new FaultyDisk(disk, "write", call, "No space left on device", only: ".log");

            var failure = await FailureOf(host.Namespace.PutManyAsync([.. Enumerable.Range(0, 40).Select(i => new KvEntry($"{i:D3}", new string('v', 300)))]));

            disk.BeforeStep = null;
            var written = host.State.Keys.Where(key => key != "before").ToArray();
            written.Should().Equal(Enumerable.Range(0, written.Length).Select(i => $"{i:D3}"), "the first ones are written");
            if (fault.HasFailed)
            {
                var standing = written.Length == 0 ? "No entry was written." : $"{written.Length} of 40 entries were written.";
                failure.Should().BeOfType<KvPersistenceException>().Which.Message
                    .Should().StartWith($"Entry {written.Length}: PUT of the key \"{written.Length:D3}\" in the namespace").And.EndWith(standing);
                counts.Add(written.Length);
            }

            await host.PutAsync("after", "x");
            (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(host.State);
        }

        counts.Should().HaveCountGreaterThan(1);
    }

    [Fact]
    public async Task Flush_that_fails_acknowledges_nothing_of_its_group_and_nothing_comes_back()
    {
        using var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large));
        await host.PutAsync("before", "x");
        _ = new FaultyDisk(disk, "flush", 1, "Input/output error");

        var failure = await FailureOf(host.Namespace.PutManyAsync(Entries(200)));

        disk.BeforeStep = null;
        failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().StartWith("Entry 0: PUT").And.EndWith("No entry was written.");
        host.State.Keys.Should().Equal("before");
        await host.Namespace.ReopenAsync();
        await host.Namespace.PutManyAsync(Entries(3));
        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(host.State).And.HaveCount(4);
    }

    [Fact]
    public async Task Refusal_of_a_failed_disk_names_the_first_entry()
    {
        using var disk = new SimulatedDisk();
        await using var host = await NamespaceHost.OpenAsync(Stores.On(disk, s_large));
        await host.PutAsync("before", "x");
        _ = new FaultyDisk(disk, "flush", 1, "Input/output error");
        await FailureOf(new(host.PutAsync("failing", "x")));
        disk.BeforeStep = null;

        var failure = await FailureOf(host.Namespace.PutManyAsync(Entries(20)));

        failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().StartWith("Entry 0: PUT of the key \"key 0\"").And.EndWith("No entry was written.");
        host.State.Keys.Should().Equal("before");
    }

    private static KvEntry[] Entries(int count) => [.. Enumerable.Range(0, count).Select(i => new KvEntry($"key {i}", $"value {i}"))];

    private static async Task<Exception?> FailureOf(ValueTask task)
    {
        try
        {
            await task;
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }
}
