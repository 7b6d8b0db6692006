using System.Text.Json;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AotTests;

/// <summary>The HybridCache, with JSON by generated code.</summary>
internal static class HybridChecks
{
    public static async Task RunAsync()
    {
        var services = new ServiceCollection().AddKvNamespace("CACHE_KV").AddKvHybridCache("CACHE_KV");
        services.AddKeyedSingleton<JsonSerializerOptions>(typeof(IHybridCacheSerializer<>), ModelJson.Default.Options);
        await using var provider = services.BuildServiceProvider();
        var cache = provider.GetRequiredService<HybridCache>();
        for (var i = 0; i < 2; i++)
        {
            var attempt = i;
            Check.Equal("text 0", await cache.GetOrCreateAsync("text", _ => new ValueTask<string>($"text {attempt}"), tags: ["t"]));
            Check.Equal(0, (await cache.GetOrCreateAsync("bytes", _ => new ValueTask<byte[]>([(byte)attempt]), tags: ["t"]))[0]);
            Check.Equal(0, (await cache.GetOrCreateAsync("json", _ => new ValueTask<Preference>(new Preference("dark", attempt, null)), tags: ["t"])).FontPoints);
        }

        await cache.RemoveByTagAsync("t");
        Check.Equal(0, provider.GetRequiredKeyedService<KvNamespace>("CACHE_KV").Count);

        await using var without = new ServiceCollection().AddKvNamespace("CACHE_KV").AddKvHybridCache("CACHE_KV").BuildServiceProvider();
        if (!JsonSerializer.IsReflectionEnabledByDefault)
        {
            await Check.Throws<NotSupportedException>(
                "The type KvStore.AotTests.Preference cannot be cached as JSON, because the application is compiled without reflection. Register an IHybridCacheSerializer<T> for it, or the options with generated code: services.AddKeyedSingleton<JsonSerializerOptions>(typeof(IHybridCacheSerializer<>), options).",
                () => without.GetRequiredService<HybridCache>().SetAsync("json", new Preference("dark", 1, null)).AsTask());
        }
    }
}
