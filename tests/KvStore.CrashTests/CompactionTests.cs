namespace KvStore.CrashTests;

public sealed class CompactionTests
{
    [Fact]
    public async Task Entries_shown_to_a_compaction_before_the_log_has_them_do_not_make_a_hole()
    {
        for (var seed = 0; seed < 5; seed++)
        {
            var disk = new SimulatedDisk();
            var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered });
            await host.PutAsync("before", "x");
            host.BeforeShown = async () =>
            {
                // Visible at once, and on the disk some time.
                await host.PutAsync("first", "x");
                await host.PutAsync("second", "x");
            };
            disk.BeforeStep = (operation, name) =>
            {
                if (operation == "delete" && name.EndsWith(".log", StringComparison.Ordinal))
                {
                    disk.CutAt(0);
                }
            };

            var act = async () => await host.Persistence.CompactAsync();
            await act.Should().ThrowAsync<KvPersistenceException>();

            (await Stores.StateOfAsync(disk.Restart(seed))).Keys.Should().Equal("before", "first", "second");
        }
    }

    [Fact]
    public async Task Compaction_keeps_entries_written_and_deletes_made_while_it_runs()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        for (var i = 0; i < 20; i++)
        {
            await host.PutAsync($"key {i}", "old");
        }

        host.BeforeShown = async () =>
        {
            await host.PutAsync("key 3", "new");
            await host.DeleteAsync("key 4");
            await host.PutAsync("key 20", "new");
        };
        await host.Persistence.CompactAsync();
        await host.DeleteAsync("key 5");
        var before = host.State;

        (await Stores.StateOfAsync(disk)).Should().Equal(before);
        before.Should().HaveCount(19);
    }

    [Fact]
    public async Task More_dead_than_live_bytes_start_a_compaction_to_at_most_twice_the_live_data()
    {
        var options = Stores.Small with { LogFileBytes = 8192, CompactionBytesMin = 8192 };
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, options);
        for (var round = 0; round < 40; round++)
        {
            for (var i = 0; i < 40; i++)
            {
                await host.PutAsync($"key {i}", $"{round} {new string('v', 500)}");
            }
        }

        // It runs beside the writer, who is much faster here than on any disk; it has to catch up with one who is not.
        const int Live = 40 * 550;
        while (disk.Bytes > (2 * Live) + (2 * options.LogFileBytes))
        {
            await host.PutAsync("key 0", "x");
            await Task.Yield();
        }

        disk.Files.Keys.Should().Contain(name => name.EndsWith(".snapshot", StringComparison.Ordinal));
        (await Stores.StateOfAsync(disk)).Should().Equal(host.State);
    }

    [Fact]
    public async Task After_compaction_the_disk_holds_little_more_than_the_live_bytes()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { LogFileBytes = 64 * 1024 });
        const int Entries = 5000;
        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < Entries; i++)
            {
                await host.PutAsync($"{i:D24}", new string('v', 100));
            }
        }

        await host.Persistence.CompactAsync();
        await host.Persistence.DisposeAsync();

        disk.Bytes.Should().BeLessThan((long)(1.3 * Entries * 124));
    }

    [Fact]
    public async Task A_log_that_is_not_needed_any_more_becomes_the_next_one()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { CompactionBytesMin = 4096 });
        var reused = 0;
        disk.BeforeStep = (operation, name) => reused += operation == "rename" && name == "spare" ? 1 : 0;
        while (Volatile.Read(ref reused) < 5)
        {
            await host.PutAsync("key", new string('v', 500));
        }

        var before = host.State;
        (await Stores.StateOfAsync(disk)).Should().Equal(before);
        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(before);
    }

    [Fact]
    public async Task Old_content_of_a_recycled_log_is_never_read_again()
    {
        // Every record has the same length, so that old ones stand exactly behind the last new one.
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { CompactionBytesMin = 4096 });
        for (var i = 0; i < 300; i++)
        {
            await host.PutAsync($"key {i % 3}", $"{i:D4}{new string('v', 400)}");
            if (i % 10 == 0)
            {
                (await Stores.StateOfAsync(disk)).Should().Equal(host.State);
            }
        }
    }

    [Fact]
    public async Task Expired_entries_are_not_written_again()
    {
        var time = new FakeTimeProvider();
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, time: time);
        var soon = (uint)time.GetUtcNow().ToUnixTimeSeconds() + 60;
        await host.PutAsync("expires", new string('v', 500), soon);
        await host.PutAsync("stays", "x", soon + 1);
        time.Advance(TimeSpan.FromSeconds(60));

        await host.Persistence.CompactAsync();

        disk.Files.Single(file => file.Key.EndsWith(".snapshot", StringComparison.Ordinal)).Value.Length.Should().BeLessThan(300);
        (await Stores.StateOfAsync(disk, time)).Keys.Should().Equal("stays");
    }

    [Fact]
    public async Task A_cancelled_compaction_changes_nothing()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutAsync("a", "one");
        using var cancel = new CancellationTokenSource();
        host.BeforeShown = cancel.CancelAsync;

        var act = async () => await host.Persistence.CompactAsync(cancel.Token);

        await act.Should().ThrowAsync<OperationCanceledException>();
        disk.Files.Keys.Should().NotContain(name => name.Contains("snapshot"));
        await host.PutAsync("b", "two");
        (await Stores.StateOfAsync(disk)).Keys.Should().Equal("a", "b");
    }

    [Fact]
    public async Task Closing_ends_a_compaction_that_is_under_way()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutAsync("a", "one");
        var reached = new TaskCompletionSource();
        host.BeforeShown = async () =>
        {
            reached.SetResult();
            await Task.Yield();
        };
        var compaction = host.Persistence.CompactAsync().AsTask();
        await reached.Task;

        await host.Persistence.DisposeAsync();

        await Task.WhenAny(compaction);
        compaction.IsCompleted.Should().BeTrue();
        (await Stores.StateOfAsync(disk)).Keys.Should().Equal("a");
    }
}
