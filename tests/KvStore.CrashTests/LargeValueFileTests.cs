namespace KvStore.CrashTests;

/// <summary>When the file of a large value is there, and when it is gone.</summary>
public sealed class LargeValueFileTests
{
    private const int Entries = 100;

    private static readonly string s_value = new('L', 5000);

    [Fact]
    public async Task The_file_of_a_replaced_or_deleted_value_is_removed()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutLargeAsync("a", s_value);
        await host.PutLargeAsync("b", s_value);
        ValueFiles(disk).Should().HaveCount(2);

        await host.PutAsync("a", "small");
        await host.DeleteAsync("b");
        await host.Persistence.DisposeAsync();

        ValueFiles(disk).Should().BeEmpty();
    }

    [Fact]
    public async Task The_file_stays_while_somebody_reads_it_and_goes_with_the_last_reader()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutLargeAsync("a", s_value);
        var removed = new TaskCompletionSource();
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "delete" && name.EndsWith(".value", StringComparison.Ordinal))
            {
                removed.TrySetResult();
            }
        };
        host.Persistence.LargeValues!.TryOpen(host.ReferenceOf("a"), out var value).Should().BeTrue();
        var stream = value!.OpenStream();
        value.Dispose();
        await host.DeleteAsync("a");
        await host.Persistence.CompactAsync();

        removed.Task.IsCompleted.Should().BeFalse();
        using (var reader = new StreamReader(stream))
        {
            (await reader.ReadToEndAsync()).Should().Be(s_value);
        }

        await removed.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public async Task In_the_relaxed_modes_the_file_stays_until_what_replaced_it_is_on_the_disk()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered });
        await host.PutLargeAsync("a", s_value);
        await host.Persistence.FlushAsync();
        var isFlushed = false;
        var flushedBefore = new TaskCompletionSource<bool>();
        disk.BeforeStep = (operation, name) =>
        {
            isFlushed |= operation == "flush" && name.Contains(".log", StringComparison.Ordinal);
            if (operation == "delete")
            {
                flushedBefore.TrySetResult(isFlushed);
            }
        };

        await host.DeleteAsync("a");

        (await flushedBefore.Task.WaitAsync(TimeSpan.FromSeconds(60))).Should().BeTrue();
    }

    [Fact]
    public async Task File_left_unreferenced_by_a_crash_is_removed_on_opening()
    {
        var disk = await Stores.CrashedAsync(async host =>
        {
            await host.PutLargeAsync("a", s_value);
            var writer = host.Persistence.LargeValues!.Create();
            await writer.WriteAsync(new byte[200_000]);
            var complete = host.Persistence.LargeValues!.Create();
            await complete.WriteAsync(new byte[2000]);
            await complete.CompleteAsync();
        });
        ValueFiles(disk).Should().HaveCount(3);

        var host = await Stores.OpenAsync(disk);

        ValueFiles(disk).Should().ContainSingle();
        host.State["a"].Should().Be(s_value);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_of_a_conditional_put_that_is_refused_at_its_commit_is_removed(bool isCancelled)
    {
        var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk));
        using var cancellation = new CancellationTokenSource();
        var slow = new System.IO.Pipelines.Pipe();
        var put = host.Namespace.TryPutAsync("a", slow.Reader, KvCondition.Absent, cancellationToken: cancellation.Token).AsTask();
        await slow.Writer.WriteAsync(System.Text.Encoding.ASCII.GetBytes(s_value));
        await host.PutAsync("a", "meanwhile");
        if (isCancelled)
        {
            await cancellation.CancelAsync();
        }

        await slow.Writer.CompleteAsync();
        if (isCancelled)
        {
            await put.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>();
        }
        else
        {
            (await put).Succeeded.Should().BeFalse();
        }

        (await host.Namespace.TryPutAsync("a", s_value, KvCondition.Absent)).Succeeded.Should().BeFalse();
        await host.DisposeAsync();

        ValueFiles(disk).Should().BeEmpty();
        (await Stores.StateOfAsync(disk)).Should().Equal(new Dictionary<string, string> { ["a"] = "meanwhile" });
    }

    [Theory]
    [InlineData("put")]
    [InlineData("delete")]
    [InlineData("expire")]
    [InlineData("put and expire")]
    public async Task File_of_a_touched_value_stays_until_the_entry_has_gone(string end)
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
        var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        await host.PutLargeAsync("a", s_value, 1_700_000_060);
        for (var i = 1; i < 4; i++)
        {
            await host.TouchAsync("a", 1_700_000_060 + (uint)i);
            await host.Persistence.FlushAsync();
        }

        // The first deadline passes, and the sweep runs.
        time.Advance(TimeSpan.FromSeconds(61));
        time.Advance(TimeSpan.FromSeconds(1));
        await host.Persistence.CompactAsync();
        await host.DisposeAsync();
        ValueFiles(disk).Should().ContainSingle();

        host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        host.State["a"].Should().Be(s_value);
        await host.TouchAsync("a", 0);
        await host.TouchAsync("a", 1_700_000_100);
        host.State["a"].Should().Be(s_value);
        switch (end)
        {
            case "delete":
                await host.DeleteAsync("a");
                break;
            case "put":
                await host.PutAsync("a", "small");
                break;
            case "put and expire":
                await host.PutLargeAsync("a", s_value, 1_700_000_090);
                time.Advance(TimeSpan.FromSeconds(60));
                break;
            default:
                time.Advance(TimeSpan.FromSeconds(60));
                break;
        }

        await host.DisposeAsync();
        host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        await host.DisposeAsync();
        ValueFiles(disk).Should().BeEmpty();
    }

    [Fact]
    public async Task Value_touched_twice_is_recovered_when_the_first_deadline_has_passed()
    {
        // Recovery meets the three records of the entry in this order. The one in the middle has expired, and counts as a delete.
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
        var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        await host.PutLargeAsync("a", s_value);
        await host.TouchAsync("a", 1_700_000_060);
        await host.TouchAsync("a", 1_700_000_600);
        await host.DisposeAsync();
        time.Advance(TimeSpan.FromSeconds(100));
        for (var i = 0; i < 3; i++)
        {
            host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
            await host.PutAsync("other", $"{i}");
            await host.Persistence.FlushAsync();
            host.State["a"].Should().Be(s_value);
            await host.DisposeAsync();
            ValueFiles(disk).Should().ContainSingle();
        }
    }

    [Fact]
    public async Task Large_value_that_expires_while_its_touch_is_in_flight_is_kept()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
        var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        await host.PutLargeAsync("a", s_value, 1_700_000_060);
        for (var i = 1; i < Entries; i++)
        {
            // A segment of memory is only swept when nothing in it is in flight, so the record of the touch is in another one.
            await host.PutAsync($"filling {i}", new string('f', 1000), 1_700_000_060);
        }

        using var goesOn = new ManualResetEventSlim();
        var isReached = new TaskCompletionSource();
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "flush" && name.Contains(".log", StringComparison.Ordinal))
            {
                isReached.TrySetResult();
                goesOn.Wait(TimeSpan.FromSeconds(60));
            }
        };
        var touch = host.TouchAsync("a", 1_700_000_600);
        await isReached.Task.WaitAsync(TimeSpan.FromSeconds(60));

        // The entry expires, and the sweep removes it, while the touch waits for the disk.
        time.Advance(TimeSpan.FromSeconds(61));
        time.Advance(TimeSpan.FromSeconds(1));
        host.State.Should().BeEmpty();
        for (var second = 0; host.Namespace.Count == Entries && second < 100; second++)
        {
            for (var wait = 0; host.Namespace.Count == Entries && wait < 20; wait++)
            {
                await Task.Delay(5);
            }

            time.Advance(TimeSpan.FromSeconds(1));
        }

        var isSwept = host.Namespace.Count < Entries;
        disk.BeforeStep = null;
        goesOn.Set();
        isSwept.Should().BeTrue();
        await touch;

        host.State["a"].Should().Be(s_value);
        await host.Persistence.CompactAsync();
        await host.DisposeAsync();
        ValueFiles(disk).Should().ContainSingle();
        host = await NamespaceHost.OpenAsync(Stores.On(disk), time);
        host.State["a"].Should().Be(s_value);
        await host.DeleteAsync("a");
        await host.DisposeAsync();
        ValueFiles(disk).Should().BeEmpty();
    }

    [Fact]
    public async Task A_value_whose_put_was_given_up_is_removed()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await using (var writer = host.Persistence.LargeValues!.Create())
        {
            await writer.WriteAsync(new byte[2000]);
            host.Persistence.LargeValues!.Release(await writer.CompleteAsync());
        }

        await host.Persistence.DisposeAsync();

        ValueFiles(disk).Should().BeEmpty();
    }

    [Fact]
    public async Task An_expired_value_whose_file_is_gone_is_no_damage_when_the_clock_was_set_back()
    {
        var time = new FakeTimeProvider();
        var disk = new SimulatedDisk();
        var later = new FakeTimeProvider(time.GetUtcNow());
        var host = await Stores.OpenAsync(disk, time: later);
        await host.PutLargeAsync("a", s_value, (uint)time.GetUtcNow().ToUnixTimeSeconds() + 60);
        later.Advance(TimeSpan.FromSeconds(61));
        host.Persistence.LargeValues!.Release(host.ReferenceOf("a"));
        await host.Persistence.DisposeAsync();
        ValueFiles(disk).Should().BeEmpty();

        for (var i = 0; i < 3; i++)
        {
            var again = await Stores.OpenAsync(disk, time: time);
            again.State.Should().BeEmpty("it is gone, for reading and listing alike");
            await again.Persistence.DisposeAsync();
        }
    }

    [Fact]
    public async Task Opening_many_large_values_reads_only_their_headers()
    {
        var disk = await Stores.ClosedAsync(async host =>
        {
            for (var i = 0; i < 50; i++)
            {
                await host.PutLargeAsync($"key {i}", s_value);
            }
        });
        var content = disk.Files.ToDictionary(file => file.Key, file => (byte[])file.Value.Clone());
        foreach (var name in ValueFiles(disk))
        {
            // A reader of them would notice.
            content[name].AsSpan(64).Clear();
        }

        var host = await Stores.OpenAsync(SimulatedDisk.With(content));

        host.LiveEntries.Should().Be(50);
        var act = () => host.State;
        act.Should().Throw<KvDamagedFileException>();
    }

    private static IEnumerable<string> ValueFiles(SimulatedDisk disk) => disk.Files.Keys.Where(name => name.EndsWith(".value", StringComparison.Ordinal));
}
