using Xunit.Abstractions;

namespace KvStore.SoakTests;

/// <summary>
/// Writers, watchers that come and go, and a clock, all at once: what each watcher is shown never goes backwards, and in the end is what
/// the namespace has.
/// </summary>
public sealed class WatchStressTests(ITestOutputHelper output)
{
    private const int Writers = 3;
    private const int KeysPerWriter = 400;

    // About two seconds by default; set the variable to let it run longer.
    private static readonly int s_operations =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_STRESS_OPERATIONS"), out var n) ? n : 150_000;

    [Fact]
    public async Task Every_watcher_ends_with_what_the_namespace_has()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create(
            "stress", new KvNamespaceOptions { TimeProvider = time, Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) } });
        Follower[] steady = [new(""), new("writer 0/"), new("writer 1/1")];
        Follower[] restless = [new(""), new("writer 2/"), new("writer 0/3"), new("nobody/")];
        foreach (var follower in steady)
        {
            follower.Begin(kv);
        }

        var isOver = false;
        var writers = Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Factory.StartNew(
            () => Write(kv, writer, time), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        var reading = steady.Select(follower => Task.Run(async () =>
        {
            while (!Volatile.Read(ref isOver))
            {
                await follower.ReadAsync(1000);
                await Task.Yield();
            }
        })).Concat(restless.Select((follower, n) => Task.Run(async () =>
        {
            var random = new Random(n);
            while (!Volatile.Read(ref isOver))
            {
                follower.Begin(kv);
                for (var i = random.Next(20); i > 0; i--)
                {
                    await follower.ReadAsync(random.Next(200));
                    await Task.Yield();
                }

                await follower.EndAsync();
            }
        }))).ToArray();
        await writers;
        Volatile.Write(ref isOver, true);
        await Task.WhenAll(reading);

        // Everything that expires has expired.
        time.Advance(TimeSpan.FromSeconds(10));
        time.Advance(TimeSpan.FromSeconds(10));
        foreach (var follower in steady.Concat(restless))
        {
            if (!follower.IsWatching)
            {
                follower.Begin(kv);
            }

            await follower.CatchUpAsync(kv);
            var expected = new Dictionary<string, string>();
            await foreach (var entry in kv.ScanAsync(follower.Prefix))
            {
                if (!entry.Key.EndsWith(Follower.Marker, StringComparison.Ordinal))
                {
                    expected[entry.Key] = entry.Value.GetText()!;
                }
            }

            follower.Entries.Should().Equal(expected, "of the watcher of \"{0}\"", follower.Prefix);
            output.WriteLine($"{follower.Prefix}: {follower.Shown:N0} changes, {follower.Resets} resets");
            await follower.EndAsync();
        }

        kv.Changes.WatcherCount.Should().Be(0);
        output.WriteLine($"{kv.Changes.SkippedCount:N0} changes skipped");
    }

    // One key in a hundred is written all the time, the others now and then.
    private static void Write(KvNamespace kv, int writer, FakeTimeProvider time)
    {
        var random = new Random(writer);
        for (var i = 0; i < s_operations / Writers; i++)
        {
            var key = $"writer {writer}/{(random.Next(3) == 0 ? random.Next(4) : random.Next(KeysPerWriter))}";
            var write = random.Next(10) switch
            {
                0 or 1 => kv.DeleteAsync(key),
                2 => kv.PutAsync(key, $"{i}", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(random.Next(1, 8)) }),
                _ => kv.PutAsync(key, $"{i}"),
            };
            if (!write.IsCompletedSuccessfully)
            {
                throw new InvalidOperationException("A write in memory completes at once.");
            }

            if (writer == 0 && i % 1000 == 0)
            {
                time.Advance(TimeSpan.FromMilliseconds(500));
            }
        }
    }
}
