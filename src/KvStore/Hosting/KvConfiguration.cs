using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>Reads the options of a namespace from configuration.</summary>
internal static class KvConfiguration
{
    /// <summary>A full path. A relative path starts at the content root of the host; without a host, at the current directory.</summary>
    public static string PathOf(IServiceProvider services, string path) =>
        services.GetService<IHostEnvironment>() is { ContentRootPath: { Length: > 0 } root } ? Path.Combine(root, path) : path;

    /// <summary>Returns the options with the settings of a section. Options without a setting stay as they are.</summary>
    /// <param name="services">The services, for the content root of the host.</param>
    /// <param name="section">The section.</param>
    /// <param name="options">The options that the section changes.</param>
    /// <param name="more">Reads the sections that packages have added to the namespace: see <see cref="KvNamespaceBuilder.AddSection"/>.</param>
    /// <exception cref="FormatException">A setting is unknown or cannot be read.</exception>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it.</exception>
    public static KvNamespaceOptions Apply(IServiceProvider services, IConfiguration section, KvNamespaceOptions options, AddedSections? more = null)
    {
        more ??= new AddedSections();
        Setting.CheckHasEntries(section);

        // The profile comes first, because it replaces limits and lag, which the other settings then change.
        foreach (var entry in section.GetChildren().OrderBy(static entry => entry.Key.Equals("PROFILE", StringComparison.OrdinalIgnoreCase) ? 0 : 1))
        {
            options = entry.Key.ToUpperInvariant() switch
            {
                "PROFILE" => ReplicationConfiguration.Profile(entry).Apply(options),
                "LIMITS" => options with { Limits = ApplyLimits(entry, options.Limits) },
                "PERSISTENCE" => options with { Persistence = PersistenceConfiguration.Apply(services, entry, options.Persistence) },
                "REPLICATION" => options with { Replication = ReplicationConfiguration.Apply(entry, options.Replication) },
                "MEMORY" => options with { Memory = ApplyMemory(entry, options.Memory) },
                "ENFORCEWRITERATE" => options with { EnforceWriteRate = Setting.Boolean(entry) },
                _ when more.Find(entry.Key) is { } read => read(services, entry, options),
                _ => throw AddedSections.Unknown(
                    entry,
                    $"Profile, {nameof(KvNamespaceOptions.Limits)}, {nameof(KvNamespaceOptions.Persistence)}, {nameof(KvNamespaceOptions.Replication)}, {nameof(KvNamespaceOptions.Memory)}{more.Names} and {nameof(KvNamespaceOptions.EnforceWriteRate)}"),
            };
        }

        return options;
    }

    /// <summary>Returns the limits with the settings of a section.</summary>
    /// <exception cref="FormatException">A setting is unknown or cannot be read.</exception>
    public static KvLimits ApplyLimits(IConfigurationSection section, KvLimits limits)
    {
        Setting.CheckHasEntries(section);
        foreach (var entry in section.GetChildren())
        {
            limits = entry.Key.ToUpperInvariant() switch
            {
                "KEYBYTESMAX" => limits with { KeyBytesMax = Setting.Int32(entry) },
                "VALUEBYTESMAX" => limits with { ValueBytesMax = Setting.Int32(entry) },
                "METADATABYTESMAX" => limits with { MetadataBytesMax = Setting.Int32(entry) },
                "EXPIRATIONTTLMIN" => limits with { ExpirationTtlMin = Setting.Span(entry) },
                "CACHETTLMIN" => limits with { CacheTtlMin = Setting.Span(entry) },
                "LISTKEYSMAX" => limits with { ListKeysMax = Setting.Int32(entry) },
                "GETMANYKEYSMAX" => limits with { GetManyKeysMax = Setting.Int32(entry) },
                "GETMANYBYTESMAX" => limits with { GetManyBytesMax = Setting.Int64(entry) },
                "NAMESPACEKEYSMAX" => limits with { NamespaceKeysMax = Setting.Int64(entry) },
                "NAMESPACEBYTESMAX" => limits with { NamespaceBytesMax = Setting.Int64(entry) },
                "ISLISTPAGED" => limits with { IsListPaged = Setting.Boolean(entry) },
                "KEYWRITEINTERVAL" => limits with { KeyWriteInterval = Setting.Span(entry) },
                "NAMESPACEWRITEINTERVAL" => limits with { NamespaceWriteInterval = Setting.Span(entry) },
                _ => throw Setting.Unknown(
                    entry,
                    $"{nameof(KvLimits.KeyBytesMax)}, {nameof(KvLimits.ValueBytesMax)}, {nameof(KvLimits.MetadataBytesMax)}, {nameof(KvLimits.ExpirationTtlMin)}, {nameof(KvLimits.CacheTtlMin)}, {nameof(KvLimits.ListKeysMax)}, {nameof(KvLimits.GetManyKeysMax)}, {nameof(KvLimits.GetManyBytesMax)}, {nameof(KvLimits.NamespaceKeysMax)}, {nameof(KvLimits.NamespaceBytesMax)}, {nameof(KvLimits.IsListPaged)}, {nameof(KvLimits.KeyWriteInterval)} and {nameof(KvLimits.NamespaceWriteInterval)}"),
            };
        }

        return limits;
    }

    private static KvMemoryOptions ApplyMemory(IConfigurationSection section, KvMemoryOptions? given)
    {
        Setting.CheckHasEntries(section);
        var memory = given ?? new KvMemoryOptions();
        foreach (var entry in section.GetChildren())
        {
            memory = entry.Key.ToUpperInvariant() switch
            {
                "BYTESMAX" => memory with { BytesMax = Setting.Int64(entry) },
                "WHENFULL" => memory with { WhenFull = Setting.Named<KvMemoryPolicy>(entry) },
                _ => throw Setting.Unknown(entry, $"{nameof(KvMemoryOptions.BytesMax)} and {nameof(KvMemoryOptions.WhenFull)}"),
            };
        }

        return memory;
    }
}
