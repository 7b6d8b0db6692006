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
    /// What code says, and then what the section says in its place, one setting at a time; a configuration is not needed. Nothing
    /// is opened.
    /// </summary>
    /// <exception cref="OptionsValidationException">A setting or an option is wrong; the message names it.</exception>
    public static KvCatalogOptions Build(
        IServiceProvider services, KvCatalogOptions options, Func<IServiceProvider, KvCatalogOptions, KvCatalogOptions> configure, bool readsConfiguration)
    {
        IConfigurationSection? section = null;
        try
        {
            options = configure(services, options);
            if (readsConfiguration && services.GetService<IConfiguration>() is { } configuration)
            {
                section = configuration.GetSection(Section);
                options = Apply(services, section, options);
            }

            options.Limits.Validate();
            options.Persistence.Validate();
            return options;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // Without the exception as the cause: what was thrown elsewhere may quote a setting, and a setting may be a secret.
            throw new OptionsValidationException(
                Section, typeof(KvCatalogOptions), [$"The catalog of KV namespaces: {ConfigurationSections.MessageOf(e, section)}"]);
        }
    }

    private static KvCatalogOptions Apply(IServiceProvider services, IConfigurationSection section, KvCatalogOptions options)
    {
        Setting.CheckHasEntries(section);
        foreach (var entry in section.GetChildren())
        {
            options = entry.Key.ToUpperInvariant() switch
            {
                "PERSISTENCE" => ApplyPersistence(services, entry, options),
                "LIMITS" => options with { Limits = KvConfiguration.ApplyLimits(entry, options.Limits) },
                _ => throw Setting.Unknown(entry, $"{Persistence} and {Limits}"),
            };
        }

        return options;
    }

    private static KvCatalogOptions ApplyPersistence(IServiceProvider services, IConfigurationSection section, KvCatalogOptions options)
    {
        var (isEnabled, first, directory, files) = PersistenceConfiguration.Read(services, section, options.Directory, options.Persistence);
        return isEnabled && first is not null && directory is null
            ? throw new FormatException(
                $"{first.Path} is set, but no directory is. Set {section.Path}:{nameof(FilePersistence.Directory)}, or give {nameof(KvCatalogServiceCollectionExtensions.AddKvCatalog)} one.")
            : options with { Directory = isEnabled ? directory : null, Persistence = files };
    }
}
