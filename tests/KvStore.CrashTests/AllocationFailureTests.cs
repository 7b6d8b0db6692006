using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using KvStore.Writes;

// Allocations can be made to fail in Debug builds only: dotnet test -c Debug.
#if DEBUG
using System.Runtime.CompilerServices;
using System.Text;
using Record = KvStore.Records.Record;

namespace KvStore.CrashTests;

/// <summary>
/// One allocation fails, the first, the second, and so on until none does: nothing is lost, nothing hangs, and what was refused
/// has changed nothing. In Debug builds, which have the seam; see <see cref="AllocationProbe"/>.
/// </summary>
[Collection(AloneCollection.Name)]
public sealed class AllocationFailureTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public void Dispose() => AllocationProbe.SucceedBeforeFailure = long.MaxValue;

    public static TheoryData<string> Kinds => ["memory", "a provider that completes at once", "a log on a disk", "a disk that fails", "a disk that fails, and an interval", "regions", "regions that lag", "regions that lag, and a log on a disk", "a limit"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_failure_of_any_allocation_loses_nothing_and_changes_nothing(string kind)
    {
        var isReached = true;
        for (var succeed = 0; isReached; succeed++)
        {
            var time = new FakeTimeProvider();
            var kept = new MemoryPersistence();
            using var disk = new SimulatedDisk();
            var options = new KvNamespaceOptions
            {
                TimeProvider = time,
                Persistence = kind switch
                {
                    "a provider that completes at once" => kept,
                    "a disk that fails, and an interval" => new FilePersistence(
                        "disk", new FilePersistenceOptions { Durability = Durability.Interval, LargeValueBytes = 1024, LogFileBytes = 16 * 1024 }, _ => disk),
                    "a log on a disk" or "a disk that fails" or "regions that lag, and a log on a disk" => new FilePersistence("disk", new FilePersistenceOptions { LargeValueBytes = 1024, LogFileBytes = 16 * 1024 }, _ => disk),
                    _ => null,
                },
                Replication = kind switch
                {
                    "regions" => new KvReplicationOptions { Regions = ["jnb", "lhr"], Lag = KvLag.None },
                    "regions that lag" or "regions that lag, and a log on a disk" => new KvReplicationOptions
                    {
                        Regions = ["jnb", "lhr", "syd"],
                        Lag = KvLag.Fixed(TimeSpan.FromSeconds(3)),
                        EdgeCache = new KvEdgeCacheOptions { EntriesMax = 50 },
                    },
                    _ => null,
                },
                Limits = kind == "a limit" ? new KvLimits { NamespaceKeysMax = 10_000 } : new KvLimits(),
            };
            var kv = await KvNamespace.OpenAsync("KV", options);
            var model = new SortedDictionary<string, string>(StringComparer.Ordinal);

            AllocationProbe.SucceedBeforeFailure = succeed;
            if (kind.StartsWith("a disk that fails", StringComparison.Ordinal))
            {
                disk.BeforeStep = FailNowAndThen();
            }

            await RunAsync(kv, time, model, operations: kind switch
            {
                "a log on a disk" => 600,
                "regions" => 300,
                _ when kind.Contains("lag", StringComparison.Ordinal) => 100,
                _ when options.Persistence is FilePersistence => 150,
                _ => 1100,
            });
            disk.BeforeStep = null;
            isReached = AllocationProbe.SucceedBeforeFailure < 0;
            AllocationProbe.SucceedBeforeFailure = long.MaxValue;
            await kv.ReopenAsync().AsTask().WaitAsync(s_patience);
            kv.Replication?.Heal("jnb");

            await CheckRegionsAsync(kv, time, model, succeed);
            await CheckAsync(kv, model, succeed);
            await kv.PutAsync("afterwards", "v");
            model["afterwards"] = "v";
            await CheckRegionsAsync(kv, time, model, succeed);
            await kv.CompactAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));
            await CheckAsync(kv, model, succeed);
            if (options.Persistence is not null)
            {
                await kv.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));
                kv = await KvNamespace.OpenAsync("KV", options);
                await CheckAsync(kv, model, succeed);
            }

            foreach (var key in model.Keys.ToArray())
            {
                await kv.DeleteAsync(key);
            }

            for (var second = 0; second < 4; second++)
            {
                time.Advance(TimeSpan.FromSeconds(1));
            }

            kv.Count.Should().Be(0);
            kv.MemoryBytes.Should().BeLessThan(512 * 1024, "everything was deleted; {0} allocations succeeded", succeed);
            await kv.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));
        }
    }

    [Fact]
    public async Task Watch_that_had_no_memory_for_a_change_begins_anew_and_the_write_succeeds()
    {
        var resets = 0;
        for (var succeed = 0; succeed < 40; succeed++)
        {
            await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = new FakeTimeProvider() });
            await using var follower = new Follower("");
            follower.Begin(kv);
            await follower.CatchUpAsync(kv);
            var model = new Dictionary<string, string>();
            AllocationProbe.SucceedBeforeFailure = succeed;
            for (var i = 0; i < 100; i++)
            {
                try
                {
                    await (i % 5 == 4 ? kv.DeleteAsync($"k{i - 1}") : kv.PutAsync($"k{i}", "v"));
                }
                catch (OutOfMemoryException)
                {
                    // The write changed nothing.
                    continue;
                }

                _ = i % 5 == 4 ? model.Remove($"k{i - 1}") : model.TryAdd($"k{i}", "v");
            }

            AllocationProbe.SucceedBeforeFailure = long.MaxValue;
            await follower.CatchUpAsync(kv);
            follower.Entries.Should().BeEquivalentTo(model, "{0} allocations succeeded", succeed);
            resets += follower.Resets;
        }

        resets.Should().BePositive();
    }

    [Fact]
    public async Task A_log_that_is_finished_while_memory_is_short_is_followed_by_the_next()
    {
        var isReached = true;
        var refused = 0;
        for (var succeed = 0; isReached; succeed++)
        {
            var disk = new SimulatedDisk();
            var host = await NamespaceHost.OpenAsync(Stores.On(disk));
            for (var i = 0; i < 4; i++)
            {
                await host.PutAsync("a", new string('a', 900)).WaitAsync(s_patience);
            }

            AllocationProbe.SucceedBeforeFailure = succeed;
            try
            {
                await host.PutAsync("b", new string('b', 900)).WaitAsync(s_patience);
                await host.Persistence.CompactAsync().AsTask().WaitAsync(s_patience);
            }
            catch (Exception e) when (IsShortOfMemory(e))
            {
                refused++;
            }

            isReached = AllocationProbe.SucceedBeforeFailure < 0;
            AllocationProbe.SucceedBeforeFailure = long.MaxValue;
            for (var i = 0; i < 12; i++)
            {
                await host.PutAsync("c", new string('c', 900)).WaitAsync(s_patience);
            }

            host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy, "{0} allocations succeeded", succeed);
            await host.Persistence.CompactAsync().AsTask().WaitAsync(s_patience);
            await host.PutAsync("d", "d").WaitAsync(s_patience);
            var expected = host.State;
            (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(expected, "{0} allocations succeeded", succeed);
        }

        refused.Should().BeGreaterThan(3);
    }

    [Fact]
    public async Task A_compaction_keeps_what_only_the_hash_index_knows()
    {
        using var disk = new SimulatedDisk();
        using var clock = new CoarseClock(TimeProvider.System);
        using var store = new ShardedStore(clock, new FakeTimeProvider());
        for (var i = 0; i < 500; i++)
        {
            var key = Encoding.UTF8.GetBytes($"key {i}");
            store.Publish(new Utf8Key(key), store.Draft(new Utf8Key(key), 0, 0, default));
        }

        // As a fault would leave it: the order has lost keys, and nobody has noticed.
        store.Ordered.Merge();
        LeavesOf(store.Ordered)[^1].Count -= 100;
        store.List(prefix: [], after: [], new Record[1000]).Should().Be(400);
        var committer = new Committer("KV", store, persistence: null, engine: null, new CallOrder(), admission: null);
        using var host = new PersistenceHost(store, committer, new KvNamespaceOptions());
        var shown = new HashSet<string>(StringComparer.Ordinal);

        await host.WriteLiveAsync(store.Revision, (in mutation) => shown.Add(Encoding.UTF8.GetString(mutation.Key.Span)), default);

        shown.Should().HaveCount(500);
        store.List(prefix: [], after: [], new Record[1000]).Should().Be(500, "it was made anew");
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_leaves")]
    private static extern ref Leaf[] LeavesOf(OrderedIndex ordered);

    // Some writes have no room, and once in a while a flush fails.
    private static Action<string, string> FailNowAndThen()
    {
        var writes = 0;
        var flushes = 0;
        return (operation, name) =>
        {
            if (operation == "write" && name.Contains(".log", StringComparison.Ordinal) && ++writes % 11 == 10)
            {
                throw new IOException("No space left on device");
            }

            if (operation == "flush" && name.Contains(".log", StringComparison.Ordinal) && ++flushes % 37 == 36)
            {
                throw new IOException("Input/output error");
            }
        };
    }

    // What was made in one region arrives in every other, whichever allocation failed on the way.
    private static async Task CheckRegionsAsync(KvNamespace kv, FakeTimeProvider time, SortedDictionary<string, string> model, int succeed)
    {
        if (kv.Replication is not { } replication)
        {
            return;
        }

        for (var second = 0; second < 70; second += 5)
        {
            time.Advance(TimeSpan.FromSeconds(5));
        }

        await replication.WaitForConvergenceAsync().WaitAsync(s_patience);
        replication.PendingCount.Should().Be(0, "{0} allocations succeeded", succeed);
        foreach (var name in replication.Regions)
        {
            var region = kv.InRegion(name);
            var listed = new List<string>();
            await foreach (var key in region.ListAllAsync())
            {
                listed.Add(key.Name);
            }

            listed.SequenceEqual(model.Keys).Should().BeTrue("{0} lists what is there; {1} allocations succeeded", name, succeed);
            foreach (var (key, value) in model)
            {
                (await region.GetTextAsync(key)).Should().Be(value, "{0} has heard of {1}; {2} allocations succeeded", name, key, succeed);
            }
        }
    }

    private static async Task RunAsync(KvNamespace kv, FakeTimeProvider time, SortedDictionary<string, string> model, int operations)
    {
        for (var i = 0; i < operations; i++)
        {
            // New keys, in many shards and as many in one as grow its table; values that fill segments; overwrites; deletes.
            var key = i % 5 == 4 ? $"key {i * 7 % 400}" : $"key {i}";
            var value = i % 97 == 0 ? new string('L', 3000) : i % 3 == 0 ? new string('v', 400) : $"{i}";
            try
            {
                if (i % 11 == 10)
                {
                    key = $"key {i / 2}";
                    await kv.DeleteAsync(key);
                    model.Remove(key);
                }
                else if (i % 29 == 28)
                {
                    var isThere = model.ContainsKey(key);
                    (await kv.TryPutAsync(key, value, isThere ? KvCondition.Present : KvCondition.Absent)).Succeeded.Should().BeTrue();
                    model[key] = value;
                    (await kv.TryPutAsync(key, "refused", KvCondition.Absent)).Succeeded.Should().BeFalse();
                }
                else if (i % 31 == 30)
                {
                    key = $"key {i / 3}";
                    (await kv.TouchAsync(key, null)).Should().Be(model.ContainsKey(key));
                }
                else if (i % 23 == 22)
                {
                    await PutManyAsync(kv, model, i);
                }
                else if (i % 37 == 36)
                {
                    await DeleteManyAsync(kv, model, i);
                }
                else if (kv.Replication is not null && i % 4 == 0)
                {
                    // Another region writes, and reads what it has read before; one is cut off for a while.
                    var region = kv.InRegion("lhr");
                    if (i % 40 == 0)
                    {
                        kv.Replication.Partition("jnb");
                    }
                    else if (i % 40 == 20)
                    {
                        kv.Replication.Heal("jnb");
                    }

                    await region.PutAsync(key, value);
                    model[key] = value;
                    _ = await region.GetTextAsync(key);
                    _ = await region.ListAsync();
                }
                else
                {
                    await kv.PutAsync(key, i % 193 == 0 ? new MemoryStream(Encoding.UTF8.GetBytes(value)) : (KvContent)value);
                    model[key] = value;
                }
            }
            catch (Exception e) when (IsShortOfMemory(e) || e is KvPersistenceException)
            {
                // Refused; the check says that nothing has changed.
            }

            if (i % 50 == 49 && kv.Health.Status == KvPersistenceStatus.Failed)
            {
                try
                {
                    await kv.ReopenAsync().AsTask().WaitAsync(s_patience);
                }
                catch (Exception e) when (IsShortOfMemory(e) || e is KvPersistenceException)
                {
                    // The disk still fails.
                }
            }

            if (i % 100 == 99)
            {
                try
                {
                    time.Advance(TimeSpan.FromSeconds(1));
                    _ = await kv.ListAsync();
                    await (i % 300 == 299 ? kv.CompactAsync() : default);
                }
                catch (Exception e) when (IsShortOfMemory(e) || e is KvPersistenceException)
                {
                    // A list or a compaction can fail; the next one is whole.
                }
            }
        }
    }

    // What fails in the middle has made the first of its writes, and none after them.
    private static async Task PutManyAsync(KvNamespace kv, SortedDictionary<string, string> model, int number)
    {
        var entries = Enumerable.Range(0, 7).Select(i => new KvEntry($"many {number + i}", i == 5 ? new string('M', 3000) : $"{number}")).ToArray();
        try
        {
            await kv.PutManyAsync(entries).AsTask().WaitAsync(s_patience);
            Array.ForEach(entries, entry => model[entry.Key] = entry.Content.Text!);
        }
        catch (Exception e) when (IsShortOfMemory(e) || e is KvPersistenceException)
        {
            var made = 0;
            while (made < entries.Length && await NewestAsync(kv, entries[made].Key) == entries[made].Content.Text)
            {
                model[entries[made].Key] = entries[made].Content.Text!;
                made++;
            }

            for (; made < entries.Length; made++)
            {
                (await NewestAsync(kv, entries[made].Key)).Should().Be(model.GetValueOrDefault(entries[made].Key), "the rest is as it was");
            }
        }
    }

    private static async Task DeleteManyAsync(KvNamespace kv, SortedDictionary<string, string> model, int number)
    {
        var keys = Enumerable.Range(0, 6).Select(i => $"key {number - i}").ToArray();
        var existed = keys.Count(model.ContainsKey);
        try
        {
            (await kv.DeleteManyAsync(keys).AsTask().WaitAsync(s_patience)).Should().Be(existed);
        }
        catch (Exception e) when (IsShortOfMemory(e) || e is KvPersistenceException)
        {
            // Deletes may go through where a put in the same batch has no room.
            foreach (var key in keys)
            {
                if (await NewestAsync(kv, key) is { } text)
                {
                    text.Should().Be(model.GetValueOrDefault(key));
                }
                else
                {
                    model.Remove(key);
                }
            }

            return;
        }

        Array.ForEach(keys, key => model.Remove(key));
    }

    // What a region has cached does not count.
    private static async Task<string?> NewestAsync(KvNamespace kv, string key)
    {
        await foreach (var entry in kv.ScanAsync(key))
        {
            return entry.Key == key ? entry.Value.GetText() : null;
        }

        return null;
    }

    private static bool IsShortOfMemory(Exception? e) => e is OutOfMemoryException || (e is not null && IsShortOfMemory(e.InnerException));

    private static async Task CheckAsync(KvNamespace kv, SortedDictionary<string, string> model, int succeed)
    {
        kv.Count.Should().Be(model.Count, "{0} allocations succeeded", succeed);
        var listed = new List<string>();
        await foreach (var key in kv.ListAllAsync())
        {
            listed.Add(key.Name);
        }

        listed.SequenceEqual(model.Keys).Should().BeTrue("got is listed; {0} allocations succeeded", succeed);
        foreach (var (key, value) in model)
        {
            (await kv.GetTextAsync(key)).Should().Be(value, "{0} has it; {1} allocations succeeded", key, succeed);
        }
    }
}
#endif
