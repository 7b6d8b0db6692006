using KvStore.Configuration;
using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace KvStore.Hosting;

/// <summary>A source of configuration that reads a namespace. All providers that it builds share the open namespace.</summary>
/// <param name="configured">The namespace, which sources of other prefixes may share.</param>
/// <param name="options">How entries become configuration.</param>
internal sealed class KvConfigurationSource(ConfiguredNamespace configured, KvConfigurationOptions options) : IConfigurationSource
{
    private readonly ILogger _logger = configured.Log.CreateLogger("KvStore.Configuration");

    /// <summary>The namespace.</summary>
    public ConfiguredNamespace Configured => configured;

    /// <summary>What the container knows of the keys that are read.</summary>
    public KvAdapter Adapter { get; } = new()
    {
        Name = "configuration",
        Namespace = configured.Name,
        Prefix = options.Prefix,
        RegisteredBy = $"Configuration.{nameof(KvConfigurationBuilderExtensions.AddKvNamespace)}",
        IsReadOnly = true,
        RefusesEviction = true,
    };

    public IConfigurationProvider Build(IConfigurationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return new KvConfigurationProvider(this, configured.Name, options, () => Open(builder), Adapter.CountRequest, _logger);
    }

    private NamespaceLease<IKvExtendedNamespace>? Open(IConfigurationBuilder builder)
    {
        try
        {
            return configured.Open(builder, () => ConfigurationBefore(builder));
        }
        catch (Exception e) when (e is KvPersistenceException or IOException or UnauthorizedAccessException)
        {
            if (!options.Optional)
            {
                throw new InvalidOperationException(
                    $"The configuration cannot be read from the KV namespace {VisibleKey.Quote(configured.Name)}, because it cannot be opened: {e.Message} To start without its values, set {nameof(KvConfigurationOptions)}.{nameof(KvConfigurationOptions.Optional)}.",
                    e);
            }

            _logger.ConfigurationNotOpened(configured.Name, e);
            return null;
        }
    }

    // What the sources before this one say. A manager of configuration has their values; a plain builder has to build them.
    private IConfiguration ConfigurationBefore(IConfigurationBuilder builder)
    {
        if (builder is IConfiguration configuration)
        {
            return configuration;
        }

        // Other namespaces are left out, because they need not be open to configure this one. A chained configuration must outlive this.
        var providers = builder.Sources
            .TakeWhile(source => source != this)
            .Where(static source => source is not KvConfigurationSource)
            .Select(source => source is ChainedConfigurationSource { Configuration: { } chained }
                ? new ChainedConfigurationProvider(new ChainedConfigurationSource { Configuration = chained, ShouldDisposeConfiguration = false })
                : source.Build(builder))
            .ToList();
        using var root = new ConfigurationRoot(providers);
        return new ConfigurationBuilder().AddInMemoryCollection(root.AsEnumerable()).Build();
    }
}
