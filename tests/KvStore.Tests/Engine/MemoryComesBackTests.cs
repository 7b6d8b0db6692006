namespace KvStore.Tests.Engine;

/// <summary>What the engine holds after heavy use, against a fresh namespace with the same live data.</summary>
[Collection(AloneCollection.Name)]
public sealed class MemoryComesBackTests
{
    private const int Keys = 100_000;

    private readonly FakeTimeProvider _time = new();

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
    public async Task A_put_makes_no_object()
    {
        // From 100,000 to 180,000 keys few tables grow: what this thread allocates then is segments. The smallest object for each entry would be 24 bytes more.
        const int More = 80_000;
        await using var kv = Create();
        await Fill(kv, 0, Keys);
        var keys = Enumerable.Range(Keys, More).Select(Key).ToArray();
        var value = new byte[100];
        var perEntry = 0.0;
        foreach (var chunk in keys.Chunk(1000))
        {
            // A list takes over the new keys, so that their lists stay as short as they are.
            _ = await kv.ListAsync(new KvListOptions { Limit = 1 });
            perEntry += AllocatedBeyondHeld(kv, chunk, value) / (double)More;
        }

        perEntry.Should().BeLessThan(8);
    }

    private static long AllocatedBeyondHeld(KvNamespace kv, string[] keys, byte[] value)
    {
        var held = kv.MemoryBytes;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        foreach (var key in keys)
        {
            var put = kv.PutAsync(key, value);
            if (!put.IsCompletedSuccessfully)
            {
                throw new InvalidOperationException("A put in memory completes at once.");
            }
        }

        return GC.GetAllocatedBytesForCurrentThread() - allocated - (kv.MemoryBytes - held);
    }

    private static string Key(int i) => $"key:{i:D20}";

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
