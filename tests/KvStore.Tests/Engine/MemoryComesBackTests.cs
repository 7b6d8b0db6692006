namespace KvStore.Tests.Engine;

/// <summary>What the engine holds after heavy use, against a fresh namespace with the same live data.</summary>
[Collection(AloneCollection.Name)]
public sealed class MemoryComesBackTests
{
    private const int Keys = 100_000;

    private readonly ManualTimeProvider _time = new();

    [Fact]
    public async Task After_every_key_was_overwritten_ten_times()
    {
        await using var kv = Create();
        for (var round = 0; round <= 10; round++)
        {
            await Fill(kv, 0, Keys);
        }

        await AssertAsSmallAsFresh(kv, Keys);
    }

    [Fact]
    public async Task After_nine_of_ten_keys_were_deleted()
    {
        await using var kv = Create();
        await Fill(kv, 0, Keys);
        for (var i = 0; i < Keys; i++)
        {
            if (i % 10 != 0)
            {
                await kv.DeleteAsync(Key(i));
            }
        }

        await AssertAsSmallAsFresh(kv, Keys / 10);
        (await Count(kv)).Should().Be(Keys / 10);
    }

    [Fact]
    public async Task After_keys_with_a_time_to_live_expired_without_being_read()
    {
        await using var kv = Create();
        await Fill(kv, 0, Keys, new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(5) });
        await Fill(kv, Keys, Keys / 10);
        _time.Advance(TimeSpan.FromMinutes(5));

        await AssertAsSmallAsFresh(kv, Keys / 10);
        kv.Count.Should().Be(Keys / 10);
        (await Count(kv)).Should().Be(Keys / 10);
    }

    [Fact]
    public async Task Puts_make_thousands_of_objects_at_the_most()
    {
        // An array or string of its own for each entry would show as hundreds of thousands of small objects: more than
        // this in bytes beyond segments, tables and leaves.
        await using var kv = Create();
        await Fill(kv, 0, Keys);
        var before = Collected();
        await Fill(kv, Keys, Keys);
        _ = await kv.ListAsync(new KvListOptions { Limit = 1 });
        var perEntry = (Collected() - before) / (double)Keys;

        perEntry.Should().BeLessThan(230);
    }

    private static string Key(int i) => $"key:{i:D20}";

    private static long Collected()
    {
        GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        return GC.GetTotalMemory(forceFullCollection: true);
    }

    private static async Task Fill(KvNamespace kv, int from, int count, KvPutOptions? options = null)
    {
        var value = new byte[100];
        for (var i = from; i < from + count; i++)
        {
            await kv.PutAsync(Key(i), value, options);
        }
    }

    private static async Task<int> Count(KvNamespace kv)
    {
        var count = 0;
        await foreach (var _ in kv.ListAllAsync())
        {
            count++;
        }

        return count;
    }

    private KvNamespace Create() => KvNamespace.Create("TEST", new KvNamespaceOptions { TimeProvider = _time });

    private async Task AssertAsSmallAsFresh(KvNamespace used, int liveKeys)
    {
        _time.Advance(TimeSpan.FromSeconds(2));
        await using var fresh = Create();
        await Fill(fresh, 0, liveKeys);
        _time.Advance(TimeSpan.FromSeconds(2));

        used.Count.Should().Be(liveKeys);
        used.MemoryBytes.Should().BeLessThan((long)(fresh.MemoryBytes * 1.5));
    }
}
