using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>Reads from configuration which regions a namespace has and how they lag.</summary>
internal static class ReplicationConfiguration
{
    /// <summary>A profile by its name.</summary>
    /// <exception cref="FormatException">There is no profile of that name.</exception>
    public static KvProfile Profile(IConfigurationSection entry) => entry.Value?.ToUpperInvariant() switch
    {
        "WORKERSKV" => KvProfile.WorkersKv,
        "INSTANT" => KvProfile.Instant,
        _ => throw KvConfiguration.Unreadable(entry, $"{KvProfile.WorkersKv} or {KvProfile.Instant}"),
    };

    /// <summary>The options with what the section says in place of what they said.</summary>
    /// <exception cref="FormatException">An entry is not known or cannot be read.</exception>
    public static KvReplicationOptions Apply(IConfigurationSection section, KvReplicationOptions options)
    {
        KvConfiguration.CheckHasEntries(section);
        foreach (var entry in section.GetChildren())
        {
            options = entry.Key.ToUpperInvariant() switch
            {
                "REGIONS" => options with { Regions = Regions(entry) },
                "HOMEREGION" => options with { HomeRegion = entry.Value },
                "LAG" => options with { Lag = Lag(entry) },
                "EDGECACHE" => options with { EdgeCache = EdgeCache(entry, options.EdgeCache ?? new KvEdgeCacheOptions()) },
                "CLOCKSKEW" => options with { ClockSkew = entry.GetChildren().ToDictionary(skew => skew.Key, KvConfiguration.Span) },
                _ => throw KvConfiguration.Unknown(
                    entry,
                    $"{nameof(KvReplicationOptions.Regions)}, {nameof(KvReplicationOptions.HomeRegion)}, {nameof(KvReplicationOptions.Lag)}, {nameof(KvReplicationOptions.EdgeCache)} and {nameof(KvReplicationOptions.ClockSkew)}"),
            };
        }

        return options;
    }

    // An array, or one text with commas, as environment variables have it.
    private static string[] Regions(IConfigurationSection entry) => entry.Value is { } text
        ? text.Split(',', StringSplitOptions.TrimEntries)
        : [.. entry.GetChildren().Select(region => region.Value ?? "")];

    // A span for a fixed lag; Min and Max for a uniform one; Median, P95 and P99 for percentiles.
    private static IKvLagModel Lag(IConfigurationSection entry)
    {
        if (entry.Value is not null)
        {
            return KvLag.Fixed(KvConfiguration.Span(entry));
        }

        var parts = entry.GetChildren().ToDictionary(part => part.Key, StringComparer.OrdinalIgnoreCase);
        var seed = parts.Remove("Seed", out var given) ? KvConfiguration.Int32(given) : 0;
        return parts.Count == 2 && parts.TryGetValue("Min", out var min) && parts.TryGetValue("Max", out var max)
            ? KvLag.Uniform(KvConfiguration.Span(min), KvConfiguration.Span(max), seed)
            : parts.Count == 3 && parts.TryGetValue("Median", out var median) && parts.TryGetValue("P95", out var p95)
                && parts.TryGetValue("P99", out var p99)
            ? KvLag.Percentiles(KvConfiguration.Span(median), KvConfiguration.Span(p95), KvConfiguration.Span(p99), seed)
            : throw new FormatException(
                $"The configuration has {entry.Path} with {string.Join(", ", parts.Keys.Order(StringComparer.Ordinal))}; it must be a span of time, or have Min and Max, or Median, P95 and P99, and may have a Seed beside them.");
    }

    private static KvEdgeCacheOptions? EdgeCache(IConfigurationSection entry, KvEdgeCacheOptions options)
    {
        if (entry.Value is not null)
        {
            return KvConfiguration.Boolean(entry) ? options : null;
        }

        foreach (var part in entry.GetChildren())
        {
            options = part.Key.ToUpperInvariant() switch
            {
                "CACHETTL" => options with { CacheTtl = KvConfiguration.Span(part) },
                "REFRESHHOTKEYS" => options with { RefreshHotKeys = KvConfiguration.Boolean(part) },
                "ENTRIESMAX" => options with { EntriesMax = KvConfiguration.Int32(part) },
                _ => throw KvConfiguration.Unknown(
                    part,
                    $"{nameof(KvEdgeCacheOptions.CacheTtl)}, {nameof(KvEdgeCacheOptions.RefreshHotKeys)} and {nameof(KvEdgeCacheOptions.EntriesMax)}"),
            };
        }

        return options;
    }
}
