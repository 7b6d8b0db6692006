using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>Reads the options of the catalog from the section <c>KvCatalog</c> of the configuration.</summary>
internal static class CatalogConfiguration
{
    private const string Section = "KvCatalog";
    private const string Persistence = nameof(KvCatalogOptions.Persistence);
    private const string Limits = nameof(KvCatalogOptions.Limits);

    /// <summary>
    /// Applies the options of the code and then the settings of the section, which win. There need not be a configuration. Nothing is
    /// opened.
    /// </summary>
    /// <exception cref="OptionsValidationException">A setting or an option is wrong; the message names it.</exception>
    public static KvCatalogOptions Build(
        IServiceProvider services, KvCatalogOptions options, Action<IServiceProvider, KvCatalogOptions> configure, bool readsConfiguration)
    {
        IConfigurationSection? section = null;
        try
        {
            configure(services, options);
            if (readsConfiguration && services.GetService<IConfiguration>() is { } configuration)
            {
                section = configuration.GetSection(Section);
                Apply(services, section, options);
            }

            options.Validate();
            return options;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // Without the cause, which may quote a setting. A setting may be a secret.
            throw new OptionsValidationException(
                Section, typeof(KvCatalogOptions), [$"The catalog of KV namespaces: {KvConfigurationReader.Describe(e, section)}"]);
        }
    }

    private static void Apply(IServiceProvider services, IConfigurationSection section, KvCatalogOptions options)
    {
        if (section.Value is { Length: > 0 })
        {
            throw new FormatException($"{section.Path} is a section with settings of its own, but the configuration has a bare value for it.");
        }

        foreach (var entry in section.GetChildren())
        {
            switch (entry.Key.ToUpperInvariant())
            {
                case "PERSISTENCE":
                    (options.Directory, options.Persistence) = KvConfigurationReader.ReadFilePersistence(
                        services, entry, options.Directory, options.Persistence, "give AddKvCatalog one");
                    break;
                case "LIMITS":
                    options.Limits = KvConfigurationReader.ReadLimits(entry, options.Limits);
                    break;
                default:
                    throw new FormatException($"{entry.Path} is no option. Options are: {Persistence} and {Limits}.");
            }
        }
    }
}
