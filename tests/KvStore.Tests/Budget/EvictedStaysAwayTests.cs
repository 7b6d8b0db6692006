namespace KvStore.Tests.Budget;

/// <summary>Eviction of a namespace on disk: what was evicted stays away, and nothing else is lost.</summary>
public sealed class EvictedStaysAwayTests : IDisposable
{
    private const long Budget = 1 << 20;
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("kvstore-evict-");

    public void Dispose() => _directory.Delete(recursive: true);

    private ValueTask<KvNamespace> OpenAsync(long? budget = Budget, Durability durability = Durability.Buffered) => KvNamespace.OpenAsync(
        "CACHE",
        new KvNamespaceOptions
        {
            Memory = budget is null ? null : new KvMemoryOptions { BytesMax = budget, WhenFull = KvMemoryPolicy.Evict },
            Persistence = new FilePersistence(_directory.FullName, new FilePersistenceOptions { Durability = durability }),
        });

    // A namespace that had used up its budget may have to evict a few more when it opens.
    private static async Task HasWhatItHadAsync(KvNamespace kv, List<string> before, long evictedAfterwards)
    {
        var after = (await EvictTests.ListAllAsync(kv)).ToHashSet();
        after.Except(before).Should().BeEmpty("what was evicted or deleted stays away");
        var lost = before.Except(after).Count();
        ((long)lost).Should().BeLessThanOrEqualTo(evictedAfterwards + kv.EvictedCount, "nothing is lost that was not evicted");
        lost.Should().BeLessThan(before.Count / 4);
    }

    [Theory]
    [InlineData(Durability.Buffered, 4)]
    [InlineData(Durability.Immediate, 16)]
    public async Task Reopened_namespace_has_exactly_what_it_had(Durability durability, int writers)
    {
        List<string> before;
        long evicted;
        await using (var kv = await OpenAsync(durability: durability))
        {
            await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(async () =>
            {
                for (var i = 0; i < 20_000 / writers; i++)
                {
                    await kv.PutAsync($"{writer} {i:D5}", EvictTests.ValueOf(i, 200));
                }
            })));
            kv.EvictedCount.Should().BeGreaterThan(10_000);
            evicted = -kv.EvictedCount;
            before = await EvictTests.ListAllAsync(kv);
            await kv.DisposeAsync();
            evicted += kv.EvictedCount;
        }

        await using (var kv = await OpenAsync())
        {
            await HasWhatItHadAsync(kv, before, evicted);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Eviction_compaction_and_snapshots_work_side_by_side(bool isImmediate)
    {
        var copy = Path.Combine(_directory.FullName, "..", _directory.Name + "-copy");
        var rounds = isImmediate ? 300 : 2000;
        List<string> before;
        long evicted;
        await using (var kv = await OpenAsync(durability: isImmediate ? Durability.Immediate : Durability.Buffered))
        {
            var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
            {
                for (var i = 0; i < rounds; i++)
                {
                    await Task.WhenAll(Enumerable.Range(0, 10).Select(n => kv.PutAsync($"{writer} {i} {n}", EvictTests.ValueOf(i, 200)).AsTask()));
                    if (i % 10 == 0)
                    {
                        await kv.DeleteAsync($"{writer} {i} 1");
                    }
                }
            })).ToArray();
            for (var i = 0; i < 3; i++)
            {
                await kv.CompactAsync();
            }

            await kv.SnapshotAsync(copy);
            await Task.WhenAll(writers);
            evicted = -kv.EvictedCount;
            before = await EvictTests.ListAllAsync(kv);
            await kv.DisposeAsync();
            evicted += kv.EvictedCount;
        }

        await using (var kv = await OpenAsync())
        {
            await HasWhatItHadAsync(kv, before, evicted);
        }

        await using (var kv = await KvNamespace.OpenAsync("COPY", new KvNamespaceOptions { Persistence = new FilePersistence(copy) }))
        {
            // Some 20 MiB were written. The copy has no budget, so it has whatever was not evicted at the moment of the snapshot. Its memory
            // says nothing: what is dead in it is cleaned up later.
            kv.Count.Should().BeLessThan(2 * Budget / 200);
        }

        Directory.Delete(copy, recursive: true);
    }

    [Fact]
    public async Task Namespace_larger_than_its_budget_is_recovered_within_it_and_keeps_what_is_newest()
    {
        const int Keys = 30_000;
        await using (var kv = await OpenAsync(budget: null))
        {
            for (var version = 0; version < 2; version++)
            {
                for (var i = 0; i < Keys; i++)
                {
                    await kv.PutAsync($"k{i:D5}", EvictTests.ValueOf(i + version, 100));
                }
            }

            for (var i = 0; i < Keys; i += 7)
            {
                await kv.DeleteAsync($"k{i:D5}");
            }

            await kv.PutAsync("large", EvictTests.ValueOf(1, 400_000));
        }

        List<string> before;
        await using (var kv = await OpenAsync())
        {
            kv.MemoryBytes.Should().BeLessThan(Budget + (Budget / 8));
            kv.EvictedCount.Should().BeGreaterThan(0);
            kv.Count.Should().BeInRange(2000, 9000);
            await CheckAsync(kv);
            await kv.DeleteAsync("k00001");
            await kv.PutAsync("k00002", "new");
            await kv.CompactAsync();
            before = await EvictTests.ListAllAsync(kv);
        }

        await using (var kv = await OpenAsync(budget: null))
        {
            (await EvictTests.ListAllAsync(kv)).Should().BeSubsetOf(before, "what was left out stays away");
            kv.Count.Should().BeGreaterThan(2000);
            (await kv.GetTextAsync("k00002")).Should().Be("new");
            (await kv.GetBytesAsync("k00001")).Should().BeNull();
            (await kv.GetBytesAsync("large"))!.Value.Length.Should().Be(400_000);
        }

        static async Task CheckAsync(KvNamespace kv)
        {
            // The background may evict some more, to have room for the next puts. It prefers what was not used, so "large" is read first.
            (await kv.GetBytesAsync("large"))!.Value.Length.Should().Be(400_000);
            foreach (var key in (await EvictTests.ListAllAsync(kv)).Where(static key => key != "large"))
            {
                var i = int.Parse(key.AsSpan(1));
                (i % 7).Should().NotBe(0, "it was deleted");
                if (await kv.GetBytesAsync(key) is { } value)
                {
                    value.ToArray().Should().Equal(EvictTests.ValueOf(i + 1, 100), "only the newest version may be seen");
                }
            }
        }
    }

    [Fact]
    public async Task Large_values_that_recovery_leaves_out_do_no_harm_to_later_openings()
    {
        await using (var kv = await OpenAsync(budget: null))
        {
            for (var i = 0; i < 20; i++)
            {
                await kv.PutAsync($"large{i}", EvictTests.ValueOf(i, 300_000));
            }

            for (var i = 0; i < 30_000; i++)
            {
                await kv.PutAsync($"k{i:D5}", EvictTests.ValueOf(i, 100));
            }
        }

        await using (var kv = await OpenAsync())
        {
            Enumerable.Range(0, 20).Count(i => kv.TryGet($"large{i}", out _)).Should().Be(0, "they were written first");
        }

        for (var opening = 0; opening < 2; opening++)
        {
            await using var kv = await OpenAsync(budget: null);
            foreach (var key in (await EvictTests.ListAllAsync(kv)).Where(key => key.StartsWith("large", StringComparison.Ordinal)))
            {
                (await kv.GetBytesAsync(key))!.Value.Length.Should().Be(300_000);
            }
        }
    }

    [Fact]
    public async Task Files_of_evicted_large_values_are_removed()
    {
        await using (var kv = await OpenAsync())
        {
            for (var i = 0; i < 50; i++)
            {
                await kv.PutAsync($"large{i}", EvictTests.ValueOf(i, 270_000));
            }

            for (var i = 0; i < 60_000; i++)
            {
                await kv.PutAsync($"k{i:D5}", EvictTests.ValueOf(i, 100));
            }

            Enumerable.Range(0, 50).Count(i => kv.TryGet($"large{i}", out _)).Should().Be(0);
        }

        _directory.EnumerateFiles("*", SearchOption.AllDirectories).Count(file => file.Length is >= 270_000 and < 300_000).Should().Be(0);
    }
}
