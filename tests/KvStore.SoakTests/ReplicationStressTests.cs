using System.Globalization;
using KvStore.TestKit.Persistence;
using Xunit.Abstractions;

namespace KvStore.SoakTests;

/// <summary>
/// Several threads in several regions at once, by the real clock: in the end all agree, and nothing is kept of what was on
/// its way. How many operations: <c>KVSTORE_REPLICATION_OPERATIONS</c>, 200,000 unless given.
/// </summary>
public sealed class ReplicationStressTests(ITestOutputHelper output)
{
    private const int Threads = 4;
    private const int Keys = 400;

    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd", "gru"];

    private static readonly int s_operations =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_REPLICATION_OPERATIONS"), CultureInfo.InvariantCulture, out var n) ? n : 200_000;

    [Theory]
    [InlineData(0, 0, false)]
    [InlineData(0, 3, false)]
    [InlineData(5, 40, false)]
    [InlineData(0, 3, true)]
    public async Task Regions_converge_after_writes_everywhere_at_once(int leastMilliseconds, int mostMilliseconds, bool isPersisted)
    {
        var lag = KvLag.Uniform(TimeSpan.FromMilliseconds(leastMilliseconds), TimeSpan.FromMilliseconds(mostMilliseconds), seed: 1);
        var kept = new YieldingPersistence();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Replication = new KvReplicationOptions { Regions = s_regions, Lag = lag },
            Persistence = isPersisted ? kept : null,
        });
        var replication = kv.Replication!;
        var isOver = new CancellationTokenSource();
        var faults = Task.Run(() => MakeTrouble(replication, isOver.Token));
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
            () => Work(kv, thread), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
        await isOver.CancelAsync();
        await faults;

        await replication.WaitForConvergenceAsync().WaitAsync(TimeSpan.FromMinutes(1));

        replication.PendingCount.Should().Be(0);
        replication.PendingKeyCount.Should().Be(0, "what is not in flight any more is not kept");
        foreach (var region in s_regions)
        {
            replication.PendingCountOf(region).Should().Be(0);
        }

        var atHome = await Everything(kv);
        atHome.Should().HaveCountGreaterThan(Keys / 4);
        foreach (var region in s_regions)
        {
            (await Everything(kv.InRegion(region))).Should().Equal(atHome, "{0} agrees", region);
        }

        if (isPersisted)
        {
            await kv.DisposeAsync();
            await using var reopened = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = kept });
            (await Everything(reopened)).Should().Equal(atHome, "what is recovered is what all had agreed on");
        }

        output.WriteLine($"{s_operations:N0} operations");
    }

    [Fact]
    public async Task Caches_never_show_a_region_less_than_it_wrote_itself()
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            Replication = new KvReplicationOptions { Regions = s_regions, EdgeCache = new KvEdgeCacheOptions { RefreshHotKeys = true, EntriesMax = 50 } },
        });
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
            () => WriteAndRead(kv, thread), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
    }

    // Each thread has a region and keys that only it writes, and reads those of all.
    private static async Task WriteAndRead(KvNamespace kv, int thread)
    {
        var random = new Random(thread);
        var region = kv.InRegion(s_regions[thread]);
        var last = new int[20];
        for (var i = 1; i <= s_operations / Threads / 4; i++)
        {
            var key = random.Next(last.Length);
            switch (random.Next(3))
            {
                case 0:
                    await region.PutAsync($"{thread}:{key}", i.ToString(CultureInfo.InvariantCulture));
                    last[key] = i;
                    break;
                case 1:
                    var text = await region.GetTextAsync($"{thread}:{key}");
                    (text ?? "0").Should().Be(last[key].ToString(CultureInfo.InvariantCulture));
                    break;
                default:
                    await region.GetTextAsync($"{random.Next(Threads)}:{key}");
                    break;
            }
        }
    }

    // The versions of a key that one thread writes ascend, and so must those that a region sees: each key has one writer.
    private static async Task Work(KvNamespace kv, int thread)
    {
        var random = new Random(1000 + thread);
        var views = s_regions.Select(kv.InRegion).ToArray();
        var seen = new Dictionary<(int, int), long>();
        for (var i = 1L; i <= s_operations / Threads; i++)
        {
            var region = random.Next(views.Length);
            var key = random.Next(Keys);
            var isOwn = key % Threads == thread;
            switch (random.Next(10))
            {
                case < 3 when isOwn:
                    // Always from the same region: its clock, and its memory, order them.
                    await views[thread].PutAsync($"k{key}", i.ToString(CultureInfo.InvariantCulture));
                    (await views[thread].GetTextAsync($"k{key}")).Should().Be(i.ToString(CultureInfo.InvariantCulture), "own writes are visible");
                    break;
                case 3:
                    await views[region].PutAsync($"shared{key}", $"{thread}:{i}");
                    break;
                case 4:
                    await views[region].DeleteAsync($"shared{key}");
                    break;
                case 5 when i % 50 == 0:
                    await views[region].ListAsync(new KvListOptions { Limit = 100 });
                    break;
                default:
                    var text = await views[region].GetTextAsync($"k{key}");
                    var version = text is null ? 0 : long.Parse(text, CultureInfo.InvariantCulture);
                    version.Should().BeGreaterThanOrEqualTo(seen.GetValueOrDefault((region, key)), "a region never goes back");
                    seen[(region, key)] = version;
                    break;
            }
        }
    }

    private static async Task MakeTrouble(KvReplication replication, CancellationToken isOver)
    {
        var random = new Random(7);
        while (!isOver.IsCancellationRequested)
        {
            var region = s_regions[random.Next(s_regions.Length)];
            switch (random.Next(4))
            {
                case 0:
                    replication.Partition(region);
                    break;
                case 1:
                    replication.Pause();
                    replication.Step();
                    replication.Resume();
                    break;
                default:
                    replication.Heal(region);
                    break;
            }

            await Task.Delay(1, CancellationToken.None);
        }

        foreach (var region in s_regions)
        {
            replication.Heal(region);
        }
    }

    private static async Task<List<string>> Everything(IKvNamespace view)
    {
        var entries = new List<string>();
        await foreach (var key in view.ListAllAsync())
        {
            entries.Add($"{key.Name}={await view.GetTextAsync(key.Name)}");
        }

        return entries;
    }

    /// <summary>Makes mutations durable on whatever thread comes first, so that they are published in any order.</summary>
    private sealed class YieldingPersistence : IKvPersistence
    {
        private readonly MemoryPersistence _inner = new();

        public KvPersistenceHealth Health => _inner.Health;

        public IKvLargeValues? LargeValues => _inner.LargeValues;

        public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
        {
            return mutation.Revision % 3 == 0 ? _inner.AppendAsync(mutation, cancellationToken) : Yield(mutation);

            async ValueTask Yield(KvMutation mutation)
            {
                await Task.Yield();
                await _inner.AppendAsync(mutation, cancellationToken);
            }
        }

        public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default) =>
            _inner.OpenAsync(host, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => _inner.FlushAsync(cancellationToken);

        public ValueTask CompactAsync(CancellationToken cancellationToken = default) => _inner.CompactAsync(cancellationToken);

        public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) =>
            _inner.SnapshotAsync(directory, cancellationToken);

        public ValueTask DisposeAsync() => _inner.DisposeAsync();
    }
}
