using System.Buffers;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AotTests;

/// <summary>The distributed cache.</summary>
internal static class CachingChecks
{
    public static async Task RunAsync()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("CACHE_KV").AddKvDistributedCache("CACHE_KV").BuildServiceProvider();
        var cache = provider.GetRequiredService<IDistributedCache>();
        foreach (var key in new[] { "key", "", new string('k', 2000) })
        {
            await cache.SetAsync(key, [1, 2], new() { SlidingExpiration = TimeSpan.FromMinutes(1), AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) });
            var value = await cache.GetAsync(key);
            Check.Bytes([1, 2], value);
            var buffer = new ArrayBufferWriter<byte>();
            Check.That(await ((IBufferDistributedCache)cache).TryGetAsync(key, buffer), "the entry is there");
            Check.Bytes([1, 2], buffer.WrittenSpan);
            await cache.RemoveAsync(key);
            Check.That(await cache.GetAsync(key) is null, "the entry is gone");
        }

        await Check.Throws<ArgumentOutOfRangeException>(
            "The absolute expiration value must be in the future.", () => cache.SetAsync("key", [], new() { AbsoluteExpiration = DateTimeOffset.UnixEpoch }));
    }
}
