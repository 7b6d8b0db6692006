using KvStore;
using KvStore.Hybrid;
using KvStore.Keys;
using Microsoft.Extensions.Caching.Hybrid;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a <see cref="HybridCache"/> in a KV namespace.</summary>
public static class KvHybridCacheServiceCollectionExtensions
{
    private const string AdapterName = "hybrid_cache";
    private const long PayloadBytesMax = 25 << 20;

    /// <summary>
    /// Registers a <see cref="HybridCache"/> with one level, a namespace: entries survive a restart when the namespace does, and tags really
    /// remove.
    /// </summary>
    /// <remarks>
    /// <para>The namespace is registered with <c>services.AddKvNamespace</c>, before or afterwards. It may be shared: the keys of the cache
    /// begin with <see cref="KvHybridCacheOptions.Prefix"/>. Serializers are registered as for Microsoft's HybridCache:
    /// <see cref="IHybridCacheSerializer{T}"/> and <see cref="IHybridCacheSerializerFactory"/>. Without them text is stored as UTF-8, bytes as they
    /// are, and everything else as JSON.</para>
    /// <para>It is injected as <see cref="HybridCache"/>, also where Microsoft's cache is registered with <c>services.AddHybridCache()</c>.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>CACHE_KV</c>.</param>
    /// <param name="configure">Sets the options of the cache.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">The name is empty, an option is out of its range, or a HybridCache in a namespace is registered already.</exception>
    public static IServiceCollection AddKvHybridCache(
        this IServiceCollection services, string name, Action<KvHybridCacheOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = new KvHybridCacheOptions();
        configure?.Invoke(options);
        Check(options);
        var adapter = new KvAdapter
        {
            Name = AdapterName,
            Namespace = name,
            Prefix = options.Prefix,
            RegisteredBy = nameof(AddKvHybridCache),
            ExpirationTtlMin = TimeSpan.FromSeconds(60),
            KeyBytesMax = EntryKeys.KeyBytesMax,
        };
        services.AddKvAdapter(adapter);
        services.AddSingleton<HybridCache>(provider => new KvHybridCache(provider, adapter, options));
        return services;
    }

    private static void Check(KvHybridCacheOptions options)
    {
        EntryKeys.Check(options.Prefix, nameof(KvHybridCacheOptions.Prefix));
        if (options.MaximumPayloadBytes is < 1 or > PayloadBytesMax)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options),
                options.MaximumPayloadBytes,
                Invariant($"{nameof(KvHybridCacheOptions.MaximumPayloadBytes)} is {options.MaximumPayloadBytes}; it must be from 1 to {PayloadBytesMax} bytes."));
        }

        if (options.MaximumKeyLength < 1)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options),
                options.MaximumKeyLength,
                Invariant($"{nameof(KvHybridCacheOptions.MaximumKeyLength)} is {options.MaximumKeyLength}; it must be at least 1 character."));
        }

        _ = EntryPlan.Default.With(options.DefaultEntryOptions);
    }
}
