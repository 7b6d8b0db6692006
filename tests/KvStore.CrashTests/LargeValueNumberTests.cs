namespace KvStore.CrashTests;

/// <summary>The number of a large value is never given twice, whatever expires, crashes, or the clock does.</summary>
public sealed class LargeValueNumberTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly uint s_deadline = (uint)s_start.ToUnixTimeSeconds() + 60;
    private static readonly string s_first = "first " + new string('1', 2000);
    private static readonly string s_second = "other " + new string('2', 2000);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_expired_value_does_not_become_another_one_when_the_clock_is_set_back(bool isClosed)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, time: new FakeTimeProvider(s_start));
        await host.PutLargeAsync("expires", s_first, s_deadline);
        await host.Persistence.DisposeAsync();

        // The clock is ahead.
        var ahead = await Stores.OpenAsync(disk, time: new FakeTimeProvider(s_start.AddDays(1)));
        ahead.State.Should().BeEmpty();
        await ahead.PutLargeAsync("stays", s_second);
        if (isClosed)
        {
            await ahead.Persistence.DisposeAsync();
        }

        // And is corrected.
        disk = SimulatedDisk.With(disk.Files);
        for (var i = 0; i < 3; i++)
        {
            var corrected = await Stores.OpenAsync(disk, time: new FakeTimeProvider(s_start));
            corrected.State.Should().Equal(new SortedDictionary<string, string> { ["stays"] = s_second });
            await corrected.DeleteAsync("expires");
            corrected.State.Should().ContainKey("stays");
            await corrected.Persistence.DisposeAsync();
        }
    }

    [Fact]
    public async Task Numbers_only_grow_over_crashes_deletes_and_compactions()
    {
        var disk = new SimulatedDisk();
        var highest = 0L;
        for (var round = 0; round < 20; round++)
        {
            var host = await Stores.OpenAsync(disk);
            for (var i = 0; i < 3; i++)
            {
                await host.PutLargeAsync("key", $"{round} {i}" + s_first);
                host.ReferenceOf("key").Id.Should().BeGreaterThan(highest);
                highest = host.ReferenceOf("key").Id;
            }

            await host.DeleteAsync("key");
            if (round % 3 == 0)
            {
                await host.Persistence.CompactAsync();
            }

            if (round % 2 == 0)
            {
                await host.Persistence.DisposeAsync();
            }

            disk = SimulatedDisk.With(disk.Files);
        }
    }

    [Fact]
    public async Task Used_up_numbers_are_reserved_again_and_a_crash_skips_the_reserved_ones()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        for (var i = 0; i < 1100; i++)
        {
            await host.PutLargeAsync("key", s_first);
        }

        var last = host.ReferenceOf("key").Id;
        last.Should().Be(1100);

        var again = await Stores.OpenAsync(SimulatedDisk.With(disk.Files));
        await again.PutLargeAsync("other", s_second);
        again.ReferenceOf("other").Id.Should().BeGreaterThan(2 * 1024);
    }

    [Fact]
    public async Task A_reservation_that_fails_fails_the_put_and_gives_no_number()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        _ = new FaultyDisk(disk, "create", 1, "No space left on device", only: "manifest");
        var put = () => host.PutLargeAsync("key", s_first);

        await put.Should().ThrowAsync<KvPersistenceException>();

        disk.Files.Keys.Should().NotContain(name => name.EndsWith(".value"));
    }

    [Fact]
    public async Task The_file_of_another_value_is_never_read_for_an_entry()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutLargeAsync("a", s_first);
        var swapped = disk.Files.Single(file => file.Key.EndsWith(".value"));
        var other = new SimulatedDisk();
        var otherHost = await Stores.OpenAsync(other);
        await otherHost.PutLargeAsync("a", s_second);

        // Swapped while it is open, by one of the same name and length.
        var open = host.Persistence.LargeValues!.TryOpen(host.ReferenceOf("a"), out var value);
        open.Should().BeTrue();
        using (var file = disk.Open(swapped.Key, isWritable: true))
        {
            file.Write(other.Files[swapped.Key], 0);
        }

        var read = () => value!.OpenStream();
        read.Should().Throw<KvDamagedFileException>().WithMessage("*another value*");

        var opening = () => Stores.OpenAsync(SimulatedDisk.With(disk.Files));
        (await opening.Should().ThrowAsync<KvDamagedFileException>()).WithMessage("*another value*");
    }
}
