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
    /// <remarks>
    /// The section <c>KvCatalog</c> of the configuration overrides all that code says, one setting at a time:
    /// <c>KvCatalog:Persistence:Directory</c>, the other settings of <c>Persistence</c>, and <c>Limits</c>. A setting that is wrong
    /// stops the host with an <c>OptionsValidationException</c>.
    /// </remarks>
    /// <param name="services">Where to register it.</param>
    /// <param name="directory">
    /// The data directory, which is created; null keeps everything in memory. A relative path starts at the content root of the
    /// host, or at the current directory where there is none.
    /// </param>
    /// <param name="configure">Changes the options, for example the durability or the limits.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">A catalog is registered already, or the directory is empty.</exception>
    public static IServiceCollection AddKvCatalog(
        this IServiceCollection services, string? directory, Func<KvCatalogOptions, KvCatalogOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        CheckDirectory(directory);
        if (services.Any(IsCatalog))
        {
            throw new ArgumentException(
                $"A catalog is registered already; there can be one. To put another in its place, for example in a test, call {nameof(ReplaceKvCatalog)}.",
                nameof(services));
        }

        services.AddHealthChecks().AddKvNamespaces();
        services.Add(Holder(directory, configure, readsConfiguration: true));
        services.TryAddSingleton(provider => provider.GetRequiredService<CatalogHolder>().Catalog);
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredService<CatalogHolder>());
        return services;
    }

    /// <summary>
    /// Replaces the registered catalog, for tests: nothing of the replaced one is opened, neither its directory nor what the
    /// configuration says. Without <paramref name="directory"/> the new one lives in memory.
    /// </summary>
    /// <remarks>
    /// The section <c>KvCatalog</c> of the configuration is not read. Namespaces that <c>AddKvNamespace</c> registers are part of
    /// the new catalog too; <c>ReplaceKvNamespaces</c> replaces those.
    /// </remarks>
    /// <param name="services">Where it is registered.</param>
    /// <param name="directory">The data directory, which is created; null keeps everything in memory.</param>
    /// <param name="configure">Changes the options, for example the clock.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="InvalidOperationException">No catalog is registered; the call must come after the one that registers it.</exception>
    /// <exception cref="ArgumentException">The directory is empty.</exception>
    public static IServiceCollection ReplaceKvCatalog(
        this IServiceCollection services, string? directory = null, Func<KvCatalogOptions, KvCatalogOptions>? configure = null)
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
        string? directory, Func<KvCatalogOptions, KvCatalogOptions>? configure, bool readsConfiguration) =>
        ServiceDescriptor.Singleton(provider => new CatalogHolder(
            provider,
            (services, options) =>
            {
                options = options with { Directory = directory is null ? null : KvConfigurationReader.ResolvePath(services, directory) };
                return configure is null ? options : configure(options);
            },
            readsConfiguration));
}
