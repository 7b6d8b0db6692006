using System.Text;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.OutputCaching;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>A test of the store of the output cache, without requests.</summary>
public abstract class PagesTest
{
    internal static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    /// <summary>A container with the store.</summary>
    internal ServiceProvider ServicesOn(
        Storage storage, Func<KvNamespaceOptions, KvNamespaceOptions>? change = null, Action<IServiceCollection>? more = null, FilePersistenceOptions? persistence = null)
    {
        var services = new ServiceCollection();
        var log = new LogLines();
        services.AddSingleton(log).AddLogging(logging => logging.AddProvider(log)).AddSingleton<TimeProvider>(Time);
        storage.AddTo(services, "CACHE_KV", persistence, change);
        services.AddKvOutputCache("CACHE_KV");
        more?.Invoke(services);
        return services.BuildServiceProvider();
    }

    internal static IOutputCacheBufferStore StoreIn(IServiceProvider services) =>
        (IOutputCacheBufferStore)services.GetRequiredService<IOutputCacheStore>();

    internal static KvNamespace NamespaceIn(IServiceProvider services) => services.GetRequiredKeyedService<KvNamespace>("CACHE_KV");

    internal static TagIndex IndexIn(IServiceProvider services) => services.GetRequiredService<KvOutputCacheStore>().Index!;

    internal static LogLines LogIn(IServiceProvider services) => services.GetRequiredService<LogLines>();

    /// <summary>Waits until something holds that happens in the background.</summary>
    internal static async Task EventuallyAsync(Func<bool> holds, string what)
    {
        for (var i = 0; !holds(); i++)
        {
            i.Should().BeLessThan(3000, what);
            await Task.Delay(10);
        }
    }

    /// <summary>Waits until the index has these pages and tags. Lets time pass where it should become empty.</summary>
    internal Task IndexBecomesAsync(IServiceProvider services, int pages, int tags) =>
        EventuallyAsync(
            () =>
            {
                Time.Advance(pages == 0 ? TimeSpan.FromSeconds(10) : TimeSpan.Zero);
                return IndexIn(services).Count == (pages, tags);
            },
            $"the index should have {pages} pages and {tags} tags");
}

internal static class PageStoreExtensions
{
    public static ValueTask SetAsync(this IOutputCacheStore store, string key, string value, TimeSpan validFor, params string[] tags) =>
        store.SetAsync(key, Encoding.UTF8.GetBytes(value), tags, validFor, CancellationToken.None);

    public static async Task<string?> GetAsync(this IOutputCacheStore store, string key) =>
        await store.GetAsync(key, CancellationToken.None) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;

    public static ValueTask EvictAsync(this IOutputCacheStore store, string tag) => store.EvictByTagAsync(tag, CancellationToken.None);
}
