namespace KvStore;

/// <summary>Which regions a namespace has, and how late each sees what was written in another.</summary>
public sealed record KvReplicationOptions
{
    /// <summary>The names of the regions, at least one, all different.</summary>
    public IReadOnlyList<string> Regions { get; init; } = [];

    /// <summary>The region whose view the namespace itself is; null for the first of <see cref="Regions"/>.</summary>
    public string? HomeRegion { get; init; }

    /// <summary>How long a mutation travels from region to region. Default <see cref="KvLag.None"/>.</summary>
    public IKvLagModel Lag { get; init; } = KvLag.None;

    /// <summary>How regions cache what they read; null when they don't. Default null.</summary>
    public KvEdgeCacheOptions? EdgeCache { get; init; }

    /// <summary>
    /// By how much the clocks of regions are wrong, positive when fast; only to compare writes with each other. Regions that
    /// are not named have the right time. See <see cref="KvReplication.SetClockSkew"/>.
    /// </summary>
    public IReadOnlyDictionary<string, TimeSpan>? ClockSkew { get; init; }

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it and says what is allowed.</exception>
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

    /// <summary>The exception for a namespace without regions that is used as if it had some.</summary>
    internal static InvalidOperationException NotReplicated(string name) => new(
        $"The namespace \"{name}\" is not replicated; {nameof(KvNamespaceOptions)}.{nameof(KvNamespaceOptions.Replication)} names its regions.");

    private static ArgumentException Wrong(string option, string what) => new($"{nameof(KvReplicationOptions)}.{option} {what}.", option);
}
