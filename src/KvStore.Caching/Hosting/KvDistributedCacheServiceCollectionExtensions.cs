using KvStore;
using KvStore.Keys;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers distributed caches in KV namespaces.</summary>
public static class KvDistributedCacheServiceCollectionExtensions
{
    private const string AdapterName = "distributed_cache";

    /// <summary>
    /// Registers a distributed cache in a namespace, as <see cref="IDistributedCache"/>: for the application, as second level of HybridCache or
    /// FusionCache, and for ASP.NET sessions.
    /// </summary>
    /// <remarks>
    /// <para>The namespace is registered with <c>services.AddKvNamespace</c>, before or afterwards. It may be shared: the keys of the cache
    /// begin with <see cref="KvDistributedCacheOptions.Prefix"/>.</para>
    /// <para>The cache is also a keyed service under the name of the namespace, so that
    /// <c>HybridCacheOptions.DistributedCacheServiceKey = "CACHE_KV"</c> finds it; of two caches in one namespace, the one that was registered
    /// first. It is the service without a key as well, unless <see cref="KvDistributedCacheOptions.ServiceKey"/> gives it a key of its own.</para>
    /// <para>See <see cref="KvDistributedCache"/> for what it does.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>CACHE_KV</c>.</param>
    /// <param name="configure">Sets the options of the cache.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">
    /// The name is empty, an option is not valid, or a distributed cache with the same service key is registered already.
    /// </exception>
    public static IServiceCollection AddKvDistributedCache(
        this IServiceCollection services, string name, Action<KvDistributedCacheOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = new KvDistributedCacheOptions();
        configure?.Invoke(options);
        var adapter = new KvAdapter
        {
            Name = options.ServiceKey is { } serviceKey ? Invariant($"{AdapterName}:{serviceKey}") : AdapterName,
            Namespace = name,
            Prefix = options.Prefix,
            RegisteredBy = nameof(AddKvDistributedCache),
            KeyBytesMax = EntryKeys.KeyBytesMax,
            MetadataBytesMax = KvDistributedCache.MetadataBytesMax,
        };
        services.AddKvAdapter(adapter);

        // One instance for all of the services, under a key that nobody else has.
        var instance = new object();
        services.AddKeyedSingleton(instance, (provider, _) => new KvDistributedCache(
            adapter.GetNamespace<KvNamespace>(provider), adapter, provider.GetService<ILoggerFactory>()));
        services.TryAddKeyedSingleton<IDistributedCache>(name, Cache);
        if (options.ServiceKey is null)
        {
            services.AddSingleton<IDistributedCache>(provider => Cache(provider, null));
        }
        else if (!name.Equals(options.ServiceKey))
        {
            services.AddKeyedSingleton<IDistributedCache>(options.ServiceKey, Cache);
        }

        return services;

        IDistributedCache Cache(IServiceProvider provider, object? key) => provider.GetRequiredKeyedService<KvDistributedCache>(instance);
    }
}
