using KvStore;
using KvStore.Hosting;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers a catalog of namespaces with a service collection.</summary>
public static class KvCatalogServiceCollectionExtensions
{
    /// <summary>
    /// Registers a <see cref="KvNamespaceCatalog"/> with the namespaces of a directory and those that <c>AddKvNamespace</c> registers,
    /// and the health check <c>kv</c>. The host opens the catalog before its first service starts; the container disposes it.
    /// </summary>
    /// <remarks>
    /// The section <c>KvCatalog</c> of the configuration overrides single options of the code: <c>KvCatalog:Persistence:Directory</c>, the
    /// other settings of <c>Persistence</c>, and <c>Limits</c>. A wrong setting stops the host with an
    /// <c>OptionsValidationException</c>.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="directory">
    /// The data directory, which is created; null keeps everything in memory. A relative path is resolved against the content root of
    /// the host, or against the current directory when there is no host.
    /// </param>
    /// <param name="configure">Changes the options, for example the durability or the limits.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">A catalog is registered already, or the directory is empty.</exception>
    public static IServiceCollection AddKvCatalog(
        this IServiceCollection services, string? directory, Action<KvCatalogOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        CheckDirectory(directory);
        if (services.Any(IsCatalog))
        {
            throw new ArgumentException(
                $"A catalog is registered already; there can be only one. To replace it, for example in a test, call {nameof(ReplaceKvCatalog)}.",
                nameof(services));
        }

        services.AddHealthChecks().AddKvNamespaces();
        services.Add(Holder(directory, configure, readsConfiguration: true));
        services.TryAddSingleton(provider => provider.GetRequiredService<CatalogHolder>().Catalog);
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<CatalogHolder>());
        return services;
    }

    /// <summary>
    /// Replaces the registered catalog, for tests. The directory of the replaced catalog is not opened, whether code or the configuration
    /// names it. Without <paramref name="directory"/> the new catalog is kept in memory.
    /// </summary>
    /// <remarks>
    /// The section <c>KvCatalog</c> of the configuration is not read. Namespaces that <c>AddKvNamespace</c> registers are part of
    /// the new catalog too; <c>ReplaceKvNamespaces</c> replaces those.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="directory">The data directory, which is created; null keeps everything in memory.</param>
    /// <param name="configure">Changes the options, for example the clock.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="InvalidOperationException">No catalog is registered; the call must come after the one that registers it.</exception>
    /// <exception cref="ArgumentException">The directory is empty.</exception>
    public static IServiceCollection ReplaceKvCatalog(
        this IServiceCollection services, string? directory = null, Action<KvCatalogOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        CheckDirectory(directory);
        for (var i = 0; i < services.Count; i++)
        {
            if (IsCatalog(services[i]))
            {
                services[i] = Holder(directory, configure, readsConfiguration: false);
                return services;
            }
        }

        throw new InvalidOperationException(
            $"No catalog is registered. {nameof(ReplaceKvCatalog)} must be called after {nameof(AddKvCatalog)}.");
    }

    private static void CheckDirectory(string? directory)
    {
        if (directory is not null)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        }
    }

    private static bool IsCatalog(ServiceDescriptor service) => service.ServiceType == typeof(CatalogHolder);

    private static ServiceDescriptor Holder(
        string? directory, Action<KvCatalogOptions>? configure, bool readsConfiguration) =>
        ServiceDescriptor.Singleton(provider => new CatalogHolder(
            provider,
            (services, options) =>
            {
                options.Directory = directory is null ? null : KvConfigurationReader.ResolvePath(services, directory);
                configure?.Invoke(options);
            },
            readsConfiguration));
}
