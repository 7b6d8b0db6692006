using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>
/// Reads options from configuration, by hand, so that it works where code is trimmed or compiled ahead of time. An entry
/// that is not known, or not a number, is an error that names it.
/// </summary>
internal static class KvConfiguration
{
    private const string Profile = "Profile";

    /// <summary>The options with what the section says in place of what they said.</summary>
    /// <exception cref="FormatException">An entry is not known or cannot be read.</exception>
    public static KvNamespaceOptions Apply(IConfiguration section, KvNamespaceOptions options)
    {
        // The profile first, whatever the order of entries: it replaces limits and lag, and the others change them.
        foreach (var entry in section.GetChildren().OrderBy(entry => Is(entry, Profile) ? 0 : 1))
        {
            options = Is(entry, Profile) ? ReplicationConfiguration.Profile(entry).Apply(options)
                : Is(entry, nameof(KvNamespaceOptions.Limits)) ? options with { Limits = ApplyLimits(entry, options.Limits) }
                : Is(entry, nameof(KvNamespaceOptions.Replication))
                    ? options with { Replication = ReplicationConfiguration.Apply(entry, options.Replication ?? new KvReplicationOptions()) }
                : Is(entry, nameof(KvNamespaceOptions.EnforceWriteRate)) ? options with { EnforceWriteRate = Boolean(entry) }
                : throw Unknown(
                    entry,
                    $"{nameof(KvNamespaceOptions.Limits)}, {Profile}, {nameof(KvNamespaceOptions.Replication)} and {nameof(KvNamespaceOptions.EnforceWriteRate)}");
        }

        return options;
    }

    private static KvLimits ApplyLimits(IConfigurationSection section, KvLimits limits)
    {
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

    private static bool Is(IConfigurationSection entry, string name) => string.Equals(entry.Key, name, StringComparison.OrdinalIgnoreCase);

    internal static int Int32(IConfigurationSection entry) =>
        int.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    private static long Int64(IConfigurationSection entry) =>
        long.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    internal static bool Boolean(IConfigurationSection entry) =>
        bool.TryParse(entry.Value, out var value) ? value : throw Unreadable(entry, "true or false");

    internal static TimeSpan Span(IConfigurationSection entry) =>
        TimeSpan.TryParse(entry.Value, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a span of time such as 00:01:00");

    internal static FormatException Unknown(IConfigurationSection entry, string known) =>
        new($"The configuration has {entry.Path}, which is no option. Options are: {known}.");

    internal static FormatException Unreadable(IConfigurationSection entry, string expected) =>
        new($"The configuration has \"{entry.Value}\" for {entry.Path}; it must be {expected}.");
}
