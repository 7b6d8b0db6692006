namespace KvStore.CrashTests;

/// <summary>
/// A clock that was ahead and is set back: what was deleted meanwhile stays deleted, though the store had forgotten it as expired.
/// </summary>
public sealed class ClockSetBackTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly uint s_deadline = (uint)s_start.ToUnixTimeSeconds() + 60;

    /// <summary>How the store came to forget the entry.</summary>
    public enum Forgotten
    {
        /// <summary>It had expired when the directory was opened.</summary>
        ByRecovery,

        /// <summary>It expired while the directory was open, and was swept.</summary>
        BySweep,

        /// <summary>It had expired when the directory was opened, and hid an older one that never expires.</summary>
        ByRecoveryOverAnOlderOne,

        /// <summary>The same, and swept.</summary>
        BySweepOverAnOlderOne,
    }

    public enum Ending
    {
        Close,
        Kill,
        PowerCut,
        Compaction,
        Copy,
    }

    public static TheoryData<Forgotten, int, Ending> Cases
    {
        get
        {
            var cases = new TheoryData<Forgotten, int, Ending>();
            foreach (var forgotten in Enum.GetValues<Forgotten>())
            {
                foreach (var end in Enum.GetValues<Ending>())
                {
                    cases.Add(forgotten, 10, end);
                    cases.Add(forgotten, 3000, end);
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_key_that_was_deleted_stays_deleted_when_the_clock_is_set_back(Forgotten forgotten, int length, Ending end)
    {
        var disk = new SimulatedDisk();
        var time = new FakeTimeProvider(s_start);
        var host = await OpenAsync(disk, time);
        if (forgotten is Forgotten.ByRecoveryOverAnOlderOne or Forgotten.BySweepOverAnOlderOne)
        {
            await host.PutAsync("key", new string('o', length));
        }

        await host.PutAsync("key", new string('v', length), s_deadline);
        await host.PutAsync("other", "stays");
        if (forgotten is Forgotten.BySweep or Forgotten.BySweepOverAnOlderOne)
        {
            time.Advance(TimeSpan.FromHours(2));
        }
        else
        {
            await host.DisposeAsync();
            host = await OpenAsync(disk, new FakeTimeProvider(s_start.AddDays(1)));
        }

        host.State.Keys.Should().Equal("other");
        await host.DeleteAsync("key");
        switch (end)
        {
            case Ending.Close:
                await host.DisposeAsync();
                break;
            case Ending.Kill:
                disk = disk.AfterKill();
                break;
            case Ending.PowerCut:
                disk = disk.Restart(0);
                break;
            case Ending.Compaction:
                await host.Namespace.CompactAsync();
                disk = disk.Restart(0);
                break;
            case Ending.Copy:
                var copy = new SimulatedDisk();
                await ((FilePersistence)host.Persistence).CopyToAsync(copy);
                disk = copy;
                break;
        }

        // Twice, since opening changes the files.
        for (var i = 0; i < 2; i++)
        {
            await using var corrected = await OpenAsync(disk, new FakeTimeProvider(s_start));
            corrected.State.Keys.Should().Equal("other");
        }
    }

    [Fact]
    public async Task Large_value_expired_at_half_a_second_is_not_lost_when_the_clock_is_set_back()
    {
        // The time is kept in whole seconds, and a time to live may end at a half.
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk, new FakeTimeProvider(s_start.AddMilliseconds(400)));
        await host.Namespace.PutAsync("key", new byte[3000], new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await host.DisposeAsync();
        await (await OpenAsync(disk, new FakeTimeProvider(s_start.AddMilliseconds(60_600)))).DisposeAsync();

        for (var i = 0; i < 2; i++)
        {
            await using var corrected = await OpenAsync(disk, new FakeTimeProvider(s_start));
            corrected.State.Should().BeEmpty();
        }
    }

    private static Task<NamespaceHost> OpenAsync(SimulatedDisk disk, TimeProvider time) => NamespaceHost.OpenAsync(Stores.On(disk), time);
}
