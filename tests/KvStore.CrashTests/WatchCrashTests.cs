using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>
/// Watchers of a namespace on a disk, across restarts and power cuts: whatever they were shown before, also what the disk has lost since, in
/// the end each has what the namespace has.
/// </summary>
public sealed class WatchCrashTests
{
    private const int Keys = 9;

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Watchers_go_on_after_power_cuts_with_what_the_disk_has_kept(Durability durability)
    {
        for (var seed = 0; seed < 25; seed++)
        {
            var random = new Random(seed);
            var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
            var options = Stores.Small with { Durability = durability };
            var disk = new SimulatedDisk();
            Follower[] followers = [new(""), new("key:"), new("key:1"), new("other")];
            for (var restart = 0; restart < 4; restart++)
            {
                var host = await NamespaceHost.OpenAsync(Stores.On(disk, options), time);
                disk.CutAt(disk.Steps + random.Next(1, 120));
                try
                {
                    await RunAsync(host, followers, time, random);
                }
                catch (Exception e) when (disk.IsOff)
                {
                    // That is what it is about.
                    _ = e;
                }

                foreach (var follower in followers)
                {
                    await follower.EndAsync();
                }

                await AbandonAsync(host);
                disk = disk.Restart(seed + restart);
            }

            await using var last = await NamespaceHost.OpenAsync(Stores.On(disk, options), time);
            foreach (var follower in followers)
            {
                follower.Begin(last.Namespace);
                await follower.CatchUpAsync(last.Namespace);
                follower.Entries.Should().BeEquivalentTo(
                    last.State.Where(entry => entry.Key.StartsWith(follower.Prefix, StringComparison.Ordinal) && !entry.Key.EndsWith("marker", StringComparison.Ordinal)),
                    "of the watcher of \"{0}\"; seed {1}", follower.Prefix, seed);
                await follower.EndAsync();
            }
        }
    }

    [Fact]
    public async Task Concurrent_writers_on_a_disk_are_shown_in_order_and_wholly()
    {
        // Appends complete in any order, so a mutation may be published after one with a higher revision.
        var disk = new SimulatedDisk();
        await using var host = await NamespaceHost.OpenAsync(Stores.On(disk));
        Follower[] followers = [new(""), new("caller 1/"), new("caller 2/3")];
        var writers = Task.WhenAll(Enumerable.Range(0, 6).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            for (var i = 0; i < 300; i++)
            {
                var key = $"caller {caller % 3}/{random.Next(8)}";
                await (random.Next(4) == 0 ? host.DeleteAsync(key) : host.PutAsync(key, $"{caller} {i}"));
            }
        })));
        var readers = Task.WhenAll(followers.Select((follower, n) => Task.Run(async () =>
        {
            var random = new Random(n);
            while (!writers.IsCompleted)
            {
                follower.Begin(host.Namespace);
                for (var i = random.Next(5); i >= 0 && !writers.IsCompleted; i--)
                {
                    await follower.ReadAsync(random.Next(20));
                    await Task.Yield();
                }

                await follower.EndAsync();
            }
        })));
        await writers;
        await readers;
        foreach (var follower in followers)
        {
            follower.Begin(host.Namespace);
            await follower.CatchUpAsync(host.Namespace);
            follower.Entries.Should().BeEquivalentTo(
                host.State.Where(entry => entry.Key.StartsWith(follower.Prefix, StringComparison.Ordinal) && !entry.Key.EndsWith("marker", StringComparison.Ordinal)));
            await follower.EndAsync();
        }
    }

    [Fact]
    public async Task Revision_from_before_a_restart_resets_and_later_ones_are_higher()
    {
        var disk = new SimulatedDisk();
        long seen;
        await using (var host = await NamespaceHost.OpenAsync(Stores.On(disk)))
        {
            await host.PutAsync("a", "1");
            await host.PutAsync("b", "1");
            seen = (await host.Namespace.GetAsync("b")).Revision;
            await host.DeleteAsync("a");
        }

        await using var again = await NamespaceHost.OpenAsync(Stores.On(SimulatedDisk.With(disk.Files)));
        (await again.Namespace.GetAsync("b")).Revision.Should().Be(seen, "a revision survives a restart");
        await using var changes = again.Namespace.WatchAsync(new KvWatchOptions { AfterRevision = seen }).GetAsyncEnumerator();
        (await changes.MoveNextAsync()).Should().BeTrue();
        changes.Current.Kind.Should().Be(KvChangeKind.Reset);
        await again.PutAsync("b", "2");
        (await again.Namespace.GetAsync("b")).Revision.Should().BeGreaterThan(seen);
    }

    private static async Task RunAsync(NamespaceHost host, Follower[] followers, FakeTimeProvider time, Random random)
    {
        foreach (var follower in followers)
        {
            follower.Begin(host.Namespace);
        }

        for (var i = 0; i < 150; i++)
        {
            var key = string.Create(CultureInfo.InvariantCulture, $"key:{random.Next(Keys)}");
            switch (random.Next(12))
            {
                case < 5:
                    await host.PutAsync(key, string.Create(CultureInfo.InvariantCulture, $"{i}"), random.Next(3) == 0 ? (uint)time.GetUtcNow().ToUnixTimeSeconds() + 3 : 0);
                    break;
                case 5:
                    await host.PutLargeAsync(key, new string('x', 2000 + i));
                    break;
                case < 8:
                    await host.DeleteAsync(key);
                    break;
                case 8:
                    time.Advance(TimeSpan.FromSeconds(random.Next(3)));
                    break;
                case 9 when random.Next(6) == 0:
                    await host.Namespace.CompactAsync();
                    break;
                default:
                    await followers[random.Next(followers.Length)].ReadAsync(random.Next(10));
                    break;
            }
        }
    }

    private static async Task AbandonAsync(NamespaceHost host)
    {
        try
        {
            await host.DisposeAsync();
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            // The power is off.
        }
    }
}
