using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>Reads the regions of a namespace, their lag and their edge cache from configuration.</summary>
internal static class ReplicationConfiguration
{
    private const string Enabled = "Enabled";

    /// <summary>Returns the profile of a name.</summary>
    /// <exception cref="FormatException">There is no profile of that name.</exception>
    public static KvProfile Profile(IConfigurationSection entry) => entry.Value?.ToUpperInvariant() switch
    {
        "WORKERSKV" => KvProfile.WorkersKv,
        "INSTANT" => KvProfile.Instant,
        _ => throw Setting.Unreadable(entry, $"{KvProfile.WorkersKv} or {KvProfile.Instant}"),
    };

    /// <summary>Returns the options with the settings of a section; null when the section disables regions.</summary>
    /// <exception cref="FormatException">A setting is unknown or cannot be read.</exception>
    public static KvReplicationOptions? Apply(IConfigurationSection section, KvReplicationOptions? given)
    {
        Setting.CheckHasEntries(section);
        var isEnabled = true;
        KvReplicationOptions? options = null;
        foreach (var entry in section.GetChildren())
        {
            if (entry.Key.Equals(Enabled, StringComparison.OrdinalIgnoreCase))
            {
                isEnabled = Setting.Boolean(entry);
                continue;
            }

            options ??= given ?? new KvReplicationOptions();
            options = entry.Key.ToUpperInvariant() switch
            {
                "REGIONS" => options with { Regions = Regions(entry) },
                "HOMEREGION" => options with { HomeRegion = Setting.Text(entry, "the name of one of the regions") },
                "LAG" => options with { Lag = Lag(entry) },
                "EDGECACHE" => options with { EdgeCache = EdgeCache(entry, options.EdgeCache) },
                "CLOCKSKEW" => options with { ClockSkew = ClockSkew(entry, options.ClockSkew) },
                _ => throw Setting.Unknown(
                    entry,
                    $"{Enabled}, {nameof(KvReplicationOptions.Regions)}, {nameof(KvReplicationOptions.HomeRegion)}, {nameof(KvReplicationOptions.Lag)}, {nameof(KvReplicationOptions.EdgeCache)} and {nameof(KvReplicationOptions.ClockSkew)}"),
            };
        }

        return isEnabled ? options ?? given : null;
    }

    // An array, or one text with commas for environment variables.
    private static string[] Regions(IConfigurationSection entry)
    {
        Setting.CheckIsEither(entry);
        return entry.Value is { } text
            ? text.Split(',', StringSplitOptions.TrimEntries)
            : [.. entry.GetChildren().Select(region => region.Value ?? "")];
    }

    // A time span for a fixed lag; Min and Max for a uniform lag; Median, P95 and P99 for percentiles.
    private static IKvLagModel Lag(IConfigurationSection entry)
    {
        Setting.CheckIsEither(entry);
        if (entry.Value is not null)
        {
            return Checked(entry, () => KvLag.Fixed(Setting.Span(entry)));
        }

        var parts = entry.GetChildren().ToDictionary(part => part.Key, StringComparer.OrdinalIgnoreCase);
        var seed = parts.Remove("Seed", out var given) ? Setting.Int32(given) : 0;
        return parts.Count == 2 && parts.TryGetValue("Min", out var min) && parts.TryGetValue("Max", out var max)
            ? Checked(entry, () => KvLag.Uniform(Setting.Span(min), Setting.Span(max), seed))
            : parts.Count == 3 && parts.TryGetValue("Median", out var median) && parts.TryGetValue("P95", out var p95)
                && parts.TryGetValue("P99", out var p99)
            ? Checked(entry, () => KvLag.Percentiles(Setting.Span(median), Setting.Span(p95), Setting.Span(p99), seed))
            : throw new FormatException(
                $"{entry.Path} has the settings {string.Join(", ", parts.Keys.Order(StringComparer.Ordinal))}; it must be a span of time, or have Min and Max, or Median, P95 and P99, and may have a Seed beside them.");
    }

    // A lag is created right after its settings are read, so that its exception names this entry.
    private static IKvLagModel Checked(IConfigurationSection entry, Func<IKvLagModel> lag)
    {
        try
        {
            return lag();
        }
        catch (ArgumentException e)
        {
            var suffix = e.Message.LastIndexOf(" (Parameter '", StringComparison.Ordinal);
            throw new FormatException($"{entry.Path}: {(suffix < 0 ? e.Message : e.Message[..suffix])}");
        }
    }

    private static KvEdgeCacheOptions? EdgeCache(IConfigurationSection entry, KvEdgeCacheOptions? given)
    {
        Setting.CheckIsEither(entry);
        var options = given ?? new KvEdgeCacheOptions();
        if (entry.Value is not null)
        {
            return Setting.Boolean(entry) ? options : null;
        }

        foreach (var part in entry.GetChildren())
        {
            options = part.Key.ToUpperInvariant() switch
            {
                "CACHETTL" => options with { CacheTtl = Setting.Span(part) },
                "REFRESHHOTKEYS" => options with { RefreshHotKeys = Setting.Boolean(part) },
                "ENTRIESMAX" => options with { EntriesMax = Setting.Int32(part) },
                _ => throw Setting.Unknown(
                    part,
                    $"{nameof(KvEdgeCacheOptions.CacheTtl)}, {nameof(KvEdgeCacheOptions.RefreshHotKeys)} and {nameof(KvEdgeCacheOptions.EntriesMax)}"),
            };
        }

        return options;
    }

    private static Dictionary<string, TimeSpan> ClockSkew(IConfigurationSection section, IReadOnlyDictionary<string, TimeSpan>? given)
    {
        Setting.CheckHasEntries(section);
        var skews = new Dictionary<string, TimeSpan>(given ?? new Dictionary<string, TimeSpan>());
        foreach (var entry in section.GetChildren())
        {
            skews[entry.Key] = Setting.Span(entry);
        }

        return skews;
    }
}
