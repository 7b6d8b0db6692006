namespace KvStore.CrashTests;

/// <summary>When the file of a large value is there, and when it is gone.</summary>
public sealed class LargeValueFileTests
{
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
