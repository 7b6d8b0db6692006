using KvStore;
using KvStore.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a catalog of namespaces with a service collection.</summary>
public static class KvCatalogServiceCollectionExtensions
{
    /// <summary>
    /// Registers a <see cref="KvNamespaceCatalog"/> that keeps its namespaces in a directory, and has in it those that
    /// <c>AddKvNamespace</c> registers. The host opens it before its first service starts; the container disposes it. A health check <c>kv</c> comes with it.
    /// </summary>
    /// <param name="services">Where to register it.</param>
    /// <param name="directory">The data directory, which is created; null keeps everything in memory.</param>
    /// <param name="configure">Changes the options, for example the durability or the limits.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">A catalog is registered already.</exception>
    public static IServiceCollection AddKvCatalog(
        this IServiceCollection services, string? directory, Func<KvCatalogOptions, KvCatalogOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (directory is not null)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        }

        if (services.Any(service => service.ServiceType == typeof(CatalogHolder)))
        {
            throw new ArgumentException("A catalog is registered already; there can be one.", nameof(services));
        }

        services.AddHealthChecks().AddKvNamespaces();
        services.TryAddSingleton(provider => new CatalogHolder(provider, (_, options) =>
        {
            options = options with { Directory = directory };
            return configure is null ? options : configure(options);
        }));
        services.TryAddSingleton(provider => provider.GetRequiredService<CatalogHolder>().Catalog);
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<CatalogHolder>());
        return services;
    }
}
