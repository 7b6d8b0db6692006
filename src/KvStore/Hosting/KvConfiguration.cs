using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>
/// Reads options from configuration, by hand, so that it works where code is trimmed or compiled ahead of time. An entry
/// that is not known, or not a number, is an error that names it.
/// </summary>
internal static class KvConfiguration
{
    /// <summary>A path, relative to the content root of the host where there is one, or else to the current directory.</summary>
    public static string PathOf(IServiceProvider services, string path) =>
        services.GetService<IHostEnvironment>() is { ContentRootPath: { Length: > 0 } root } ? Path.Combine(root, path) : path;

    /// <summary>The options with what the section says in place of what they said.</summary>
    /// <exception cref="FormatException">An entry is not known or cannot be read.</exception>
    public static KvNamespaceOptions Apply(IServiceProvider services, IConfiguration section, KvNamespaceOptions options)
    {
        CheckHasEntries(section);

        // The profile first, whatever the order of entries: it replaces limits and lag, and the others change them.
        foreach (var entry in section.GetChildren().OrderBy(static entry => entry.Key.Equals("PROFILE", StringComparison.OrdinalIgnoreCase) ? 0 : 1))
        {
            options = entry.Key.ToUpperInvariant() switch
            {
                "PROFILE" => ReplicationConfiguration.Profile(entry).Apply(options),
                "LIMITS" => options with { Limits = ApplyLimits(entry, options.Limits) },
                "PERSISTENCE" => options with { Persistence = ReadPersistence(services, entry) },
                "REPLICATION" => options with { Replication = ReplicationConfiguration.Apply(entry, options.Replication ?? new KvReplicationOptions()) },
                "ENFORCEWRITERATE" => options with { EnforceWriteRate = Boolean(entry) },
                _ => throw Unknown(
                    entry,
                    $"Profile, {nameof(KvNamespaceOptions.Limits)}, {nameof(KvNamespaceOptions.Persistence)}, {nameof(KvNamespaceOptions.Replication)} and {nameof(KvNamespaceOptions.EnforceWriteRate)}"),
            };
        }

        return options;
    }

    /// <summary>Refuses a section that is a bare value, which nothing would read.</summary>
    /// <exception cref="FormatException">It is one.</exception>
    public static void CheckHasEntries(IConfiguration section)
    {
        if (section is IConfigurationSection { Value: { Length: > 0 } value } entry)
        {
            throw new FormatException($"The configuration has \"{value}\" for {entry.Path}, which is a section with entries of its own.");
        }
    }

    private static KvLimits ApplyLimits(IConfigurationSection section, KvLimits limits)
    {
        CheckHasEntries(section);
        foreach (var entry in section.GetChildren())
        {
            limits = entry.Key.ToUpperInvariant() switch
            {
                "KEYBYTESMAX" => limits with { KeyBytesMax = Int32(entry) },
                "VALUEBYTESMAX" => limits with { ValueBytesMax = Int32(entry) },
                "METADATABYTESMAX" => limits with { MetadataBytesMax = Int32(entry) },
                "EXPIRATIONTTLMIN" => limits with { ExpirationTtlMin = Span(entry) },
                "CACHETTLMIN" => limits with { CacheTtlMin = Span(entry) },
                "LISTKEYSMAX" => limits with { ListKeysMax = Int32(entry) },
                "GETMANYKEYSMAX" => limits with { GetManyKeysMax = Int32(entry) },
                "GETMANYBYTESMAX" => limits with { GetManyBytesMax = Int64(entry) },
                "NAMESPACEKEYSMAX" => limits with { NamespaceKeysMax = Int64(entry) },
                "NAMESPACEBYTESMAX" => limits with { NamespaceBytesMax = Int64(entry) },
                "ISLISTPAGED" => limits with { IsListPaged = Boolean(entry) },
                "KEYWRITEINTERVAL" => limits with { KeyWriteInterval = Span(entry) },
                "NAMESPACEWRITEINTERVAL" => limits with { NamespaceWriteInterval = Span(entry) },
                _ => throw Unknown(
                    entry,
                    $"{nameof(KvLimits.KeyBytesMax)}, {nameof(KvLimits.ValueBytesMax)}, {nameof(KvLimits.MetadataBytesMax)}, {nameof(KvLimits.ExpirationTtlMin)}, {nameof(KvLimits.CacheTtlMin)}, {nameof(KvLimits.ListKeysMax)}, {nameof(KvLimits.GetManyKeysMax)}, {nameof(KvLimits.GetManyBytesMax)}, {nameof(KvLimits.NamespaceKeysMax)}, {nameof(KvLimits.NamespaceBytesMax)}, {nameof(KvLimits.IsListPaged)}, {nameof(KvLimits.KeyWriteInterval)} and {nameof(KvLimits.NamespaceWriteInterval)}"),
            };
        }

        return limits;
    }

    private static FilePersistence ReadPersistence(IServiceProvider services, IConfigurationSection section)
    {
        CheckHasEntries(section);
        var options = new FilePersistenceOptions();
        string? directory = null;
        foreach (var entry in section.GetChildren())
        {
            switch (entry.Key.ToUpperInvariant())
            {
                case "DIRECTORY":
                    directory = entry.Value;
                    break;
                case "DURABILITY":
                    options = options with { Durability = DurabilityOf(entry) };
                    break;
                case "INTERVAL":
                    options = options with { Interval = Span(entry) };
                    break;
                case "LOGFILEBYTES":
                    options = options with { LogFileBytes = Int32(entry) };
                    break;
                case "COMPACTIONDEADRATIO":
                    options = options with { CompactionDeadRatio = Double(entry) };
                    break;
                case "COMPACTIONBYTESMIN":
                    options = options with { CompactionBytesMin = Int64(entry) };
                    break;
                case "LARGEVALUEBYTES":
                    options = options with { LargeValueBytes = Int32(entry) };
                    break;
                case "READONLY":
                    options = options with { ReadOnly = Boolean(entry) };
                    break;
                case "UNIXFILEMODE":
                    options = options with { UnixFileMode = UnixFileModeOf(entry) };
                    break;
                default:
                    throw Unknown(
                        entry,
                        $"{nameof(FilePersistence.Directory)}, {nameof(FilePersistenceOptions.Durability)}, {nameof(FilePersistenceOptions.Interval)}, {nameof(FilePersistenceOptions.LogFileBytes)}, {nameof(FilePersistenceOptions.CompactionDeadRatio)}, {nameof(FilePersistenceOptions.CompactionBytesMin)}, {nameof(FilePersistenceOptions.LargeValueBytes)}, {nameof(FilePersistenceOptions.ReadOnly)} and {nameof(FilePersistenceOptions.UnixFileMode)}");
            }
        }

        return string.IsNullOrWhiteSpace(directory)
            ? throw new FormatException($"The configuration has {section.Path} without {nameof(FilePersistence.Directory)}, which says where.")
            : new FilePersistence(PathOf(services, directory), options);
    }

    private static UnixFileMode UnixFileModeOf(IConfigurationSection entry) =>
        Enum.TryParse<UnixFileMode>(entry.Value, ignoreCase: true, out var value) && !int.TryParse(entry.Value, CultureInfo.InvariantCulture, out _)
            ? value
            : throw Unreadable(entry, $"names of {nameof(UnixFileMode)} with commas between them, as in \"{UnixFileMode.UserRead}, {UnixFileMode.UserWrite}, {UnixFileMode.GroupRead}\"");

    private static Durability DurabilityOf(IConfigurationSection entry) =>
        Enum.TryParse<Durability>(entry.Value, ignoreCase: true, out var value) && !int.TryParse(entry.Value, CultureInfo.InvariantCulture, out _)
            ? value
            : throw Unreadable(entry, $"{nameof(Durability.Immediate)}, {nameof(Durability.Interval)} or {nameof(Durability.Buffered)}");

    internal static bool Boolean(IConfigurationSection entry) =>
        bool.TryParse(entry.Value, out var value) ? value : throw Unreadable(entry, "true or false");

    private static double Double(IConfigurationSection entry) =>
        double.TryParse(entry.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a number");

    internal static int Int32(IConfigurationSection entry) =>
        int.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    private static long Int64(IConfigurationSection entry) =>
        long.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    // A bare number would be days, where whoever writes 60 means the seconds of the binding.
    internal static TimeSpan Span(IConfigurationSection entry) =>
        entry.Value?.Contains(':', StringComparison.Ordinal) == true
            && TimeSpan.TryParse(entry.Value, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a span of time such as 00:01:00");

    internal static FormatException Unknown(IConfigurationSection entry, string known) =>
        new($"The configuration has {entry.Path}, which is no option. Options are: {known}.");

    internal static FormatException Unreadable(IConfigurationSection entry, string expected) =>
        new($"The configuration has \"{entry.Value}\" for {entry.Path}; it must be {expected}.");
}
