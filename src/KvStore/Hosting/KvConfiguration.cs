using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>
/// Reads options from configuration, by hand, so that it works where code is trimmed or compiled ahead of time. An entry
/// that is not known, or not a number, is an error that names it.
/// </summary>
internal static class KvConfiguration
{
    /// <summary>The options with what the section says in place of what they said.</summary>
    /// <exception cref="FormatException">An entry is not known or cannot be read.</exception>
    public static KvNamespaceOptions Apply(IConfiguration section, KvNamespaceOptions options)
    {
        CheckHasEntries(section);
        foreach (var entry in section.GetChildren())
        {
            options = Is(entry, nameof(KvNamespaceOptions.Limits))
                ? options with { Limits = ApplyLimits(entry, options.Limits) }
                : throw Unknown(entry, nameof(KvNamespaceOptions.Limits));
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
                _ => throw Unknown(
                    entry,
                    $"{nameof(KvLimits.KeyBytesMax)}, {nameof(KvLimits.ValueBytesMax)}, {nameof(KvLimits.MetadataBytesMax)}, {nameof(KvLimits.ExpirationTtlMin)}, {nameof(KvLimits.CacheTtlMin)}, {nameof(KvLimits.ListKeysMax)}, {nameof(KvLimits.GetManyKeysMax)} and {nameof(KvLimits.GetManyBytesMax)}"),
            };
        }

        return limits;
    }

    private static bool Is(IConfigurationSection entry, string name) => string.Equals(entry.Key, name, StringComparison.OrdinalIgnoreCase);

    private static int Int32(IConfigurationSection entry) =>
        int.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    private static long Int64(IConfigurationSection entry) =>
        long.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    // A bare number would be days, where whoever writes 60 means the seconds of the binding.
    private static TimeSpan Span(IConfigurationSection entry) =>
        entry.Value?.Contains(':', StringComparison.Ordinal) == true
            && TimeSpan.TryParse(entry.Value, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a span of time such as 00:01:00");

    private static FormatException Unknown(IConfigurationSection entry, string known) =>
        new($"The configuration has {entry.Path}, which is no option. Options are: {known}.");

    private static FormatException Unreadable(IConfigurationSection entry, string expected) =>
        new($"The configuration has \"{entry.Value}\" for {entry.Path}; it must be {expected}.");
}
