namespace KvStore;

/// <summary>The regions of a namespace, and how late each receives the writes of another.</summary>
public sealed record KvReplicationOptions
{
    /// <summary>The names of the regions: at least one, all different.</summary>
    public IReadOnlyList<string> Regions { get; init; } = [];

    /// <summary>The region whose view the namespace itself is; null for the first of <see cref="Regions"/>.</summary>
    public string? HomeRegion { get; init; }

    /// <summary>The replication lag. Default <see cref="KvLag.None"/>.</summary>
    public IKvLagModel Lag { get; init; } = KvLag.None;

    /// <summary>The options of the edge cache; null when regions do not cache. Default null.</summary>
    public KvEdgeCacheOptions? EdgeCache { get; init; }

    /// <summary>
    /// The clock skew of regions, positive when the clock is fast. It decides only which of two writes wins. Regions that are not
    /// named have no skew. See <see cref="KvReplication.SetClockSkew"/>.
    /// </summary>
    public IReadOnlyDictionary<string, TimeSpan>? ClockSkew { get; init; }

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentException">An option is not valid. The message has its name and what is allowed.</exception>
    internal void Validate(KvLimits limits)
    {
        ArgumentNullException.ThrowIfNull(Regions);
        ArgumentNullException.ThrowIfNull(Lag);
        if (Regions.Count == 0)
        {
            throw Wrong(nameof(Regions), "is empty; it must name at least one region");
        }

        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var region in Regions)
        {
            if (string.IsNullOrWhiteSpace(region))
            {
                throw Wrong(nameof(Regions), "has an empty name; each region must have one");
            }

            if (!seen.Add(region))
            {
                throw Wrong(nameof(Regions), "has a name twice; names must be different");
            }
        }

        if (HomeRegion is not null && !seen.Contains(HomeRegion))
        {
            throw Wrong(nameof(HomeRegion), $"is none of the regions; it must be one of {string.Join(", ", Regions)}");
        }

        if (ClockSkew?.Keys.FirstOrDefault(region => !seen.Contains(region)) is { } unknown)
        {
            throw Wrong(nameof(ClockSkew), $"names \"{unknown}\"; it must be one of {string.Join(", ", Regions)}");
        }

        EdgeCache?.Validate(limits);
    }

    private static ArgumentException Wrong(string option, string what) => new($"{nameof(KvReplicationOptions)}.{option} {what}.", option);
}
