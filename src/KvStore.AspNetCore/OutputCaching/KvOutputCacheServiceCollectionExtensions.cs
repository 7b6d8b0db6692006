using KvStore;
using KvStore.Adapters;
using KvStore.Keys;
using KvStore.OutputCaching;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the store that keeps the output cache of ASP.NET Core in a KV namespace.</summary>
public static class KvOutputCacheServiceCollectionExtensions
{
    /// <summary>
    /// Keeps the pages of the output cache in a namespace, so that they come from the cache after a restart, and share its budget for
    /// memory. Calls <c>AddOutputCache</c>; call it too to set the options and policies of the cache.
    /// </summary>
    /// <remarks>
    /// <para>The store takes the place of the one in memory, whether <c>AddOutputCache</c> is called before or afterwards.</para>
    /// <para>Evicting a tag removes all pages with the tag, and no others: when the call returns, no page that was stored with the tag before
    /// is served any more. The tags of a page are those that it was stored with last.</para>
    /// <para>A page expires to the millisecond. When the namespace cannot be read or written, requests are answered without the cache, and
    /// the failure is logged.</para>
    /// <para>The host does not start when the namespace is not registered.</para>
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="name">The name of the namespace, for example <c>CACHE_KV</c>. It may be registered before or afterwards.</param>
    /// <param name="configure">Sets the options.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">The name is empty, an option is wrong, or the method was called before.</exception>
    public static IServiceCollection AddKvOutputCache(this IServiceCollection services, string name, Action<KvOutputCacheOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        var options = new KvOutputCacheOptions();
        configure?.Invoke(options);
        options.Validate();
        var adapter = new KvAdapter
        {
            Name = "output_cache",
            Namespace = name,
            Prefix = options.Prefix,
            RegisteredBy = nameof(AddKvOutputCache),
            ExpirationTtlMin = ExactDeadline.TtlMin,
            KeyBytesMax = EntryKeys.KeyBytesMax,
            MetadataBytesMax = PageHeader.MetadataBytesMax,
        };
        services.AddKvAdapter(adapter);
        services.AddOutputCache();

        // AddOutputCache registers the store in memory only where there is none.
        services.RemoveAll<IOutputCacheStore>();
        services.AddSingleton(provider => new KvOutputCacheStore(provider, adapter));
        services.AddSingleton<IOutputCacheStore>(static provider => provider.GetRequiredService<KvOutputCacheStore>());
        services.AddSingleton<IOutputCacheBufferStore>(static provider => provider.GetRequiredService<KvOutputCacheStore>());
        return services;
    }
}
