using KvStore.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>Finds the namespaces that a configuration reads, so that a container with that configuration takes them over.</summary>
internal static class ConfiguredNamespaces
{
    /// <summary>The providers in the configuration of a container.</summary>
    public static IEnumerable<KvConfigurationProvider> ProvidersIn(IServiceProvider services) =>
        services.GetService<IConfiguration>() is { } configuration ? ProvidersIn(configuration) : [];

    /// <summary>The adapters of a container's configuration, one for each prefix that is read.</summary>
    public static IEnumerable<KvAdapter> AdaptersIn(IServiceProvider services) =>
        SourcesIn(services).Select(static source => source.Adapter);

    /// <summary>The namespaces that a container's configuration reads.</summary>
    public static IEnumerable<ConfiguredNamespace> In(IServiceProvider services) =>
        SourcesIn(services).Select(static source => source.Configured).Distinct();

    /// <summary>The namespace of a name that an earlier source of a builder reads; null when there is none.</summary>
    public static ConfiguredNamespace? Find(IConfigurationBuilder builder, string name) =>
        builder.Sources
            .SelectMany(static source => source switch
            {
                KvConfigurationSource kv => [kv],
                ChainedConfigurationSource { Configuration: { } chained } => ProvidersIn(chained).Select(static provider => provider.Source).OfType<KvConfigurationSource>(),
                _ => [],
            })
            .Select(static source => source.Configured)
            .FirstOrDefault(configured => configured.Name == name);

    /// <summary>Gives the namespaces of the configuration the log of a container.</summary>
    /// <returns>What takes it away again.</returns>
    public static Action AttachLog(IServiceProvider services)
    {
        if (services.GetService<ILoggerFactory>() is not { } factory)
        {
            return static () => { };
        }

        var all = In(services).ToList();
        foreach (var configured in all)
        {
            configured.Log.Attach(factory);
        }

        return () =>
        {
            foreach (var configured in all)
            {
                configured.Log.Detach(factory);
            }
        };
    }

    private static IEnumerable<KvConfigurationSource> SourcesIn(IServiceProvider services) =>
        ProvidersIn(services).Select(static provider => provider.Source).OfType<KvConfigurationSource>();

    private static IEnumerable<KvConfigurationProvider> ProvidersIn(IConfiguration configuration) =>
        configuration is not IConfigurationRoot root
            ? []
            : root.Providers.SelectMany(static provider => provider switch
            {
                KvConfigurationProvider kv => [kv],
                ChainedConfigurationProvider chained => ProvidersIn(chained.Configuration),
                _ => [],
            });
}
