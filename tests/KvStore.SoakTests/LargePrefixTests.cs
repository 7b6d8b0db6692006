using Xunit.Abstractions;

namespace KvStore.SoakTests;

/// <summary>The delete of a prefix that a million keys have. It measures memory, so that nothing else may run meanwhile.</summary>
[CollectionDefinition(nameof(LargePrefixTests), DisableParallelization = true)]
[Collection(nameof(LargePrefixTests))]
public sealed class LargePrefixTests(ITestOutputHelper output)
{
    // Readers and a writer go on meanwhile: each of them finishes its work while the delete of the prefix is under way or after it.
    [Fact]
    public async Task Million_keys_are_deleted_in_little_memory_beside_reads_and_writes()
    {
        const int Million = 1_000_000;
        await using var kv = KvNamespace.Create("KV");
        for (var i = 0; i < Million; i += 10_000)
        {
            await kv.PutManyAsync([.. Enumerable.Range(i, 10_000).Select(number => new KvEntry($"key:{number:D7}", "a value"))]);
        }

        await kv.PutAsync("other", "stays");
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var most = 0L;
        var delete = Task.Run(() => kv.DeletePrefixAsync("key:").AsTask());
        var meanwhile = 0;
        var number = 0;
        do
        {
            // Something of each in every round, so that none of it waits for the whole delete.
            (await kv.GetTextAsync("other")).Should().Be("stays");
            await kv.PutAsync($"new:{number % 1000}", "written meanwhile");
            (await kv.GetTextAsync($"new:{number++ % 1000}")).Should().Be("written meanwhile");
            meanwhile += delete.IsCompleted ? 0 : 1;
            if (meanwhile is 100 or 1000 or 10_000 or 50_000)
            {
                most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
            }
        }
        while (!delete.IsCompleted);

        (await delete).Should().Be(Million);
        output.WriteLine($"{meanwhile} rounds meanwhile, at most {most / 1024} KiB more than before");
        meanwhile.Should().BeGreaterThan(10);
        most.Should().BeLessThan(32L * Million, "the keys alone would take more as texts");
        kv.Count.Should().Be(1 + Math.Min(number, 1000));
    }
}
