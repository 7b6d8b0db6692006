namespace KvStore;

/// <summary>A service to imitate: its limits, its replication lag and its edge cache.</summary>
public sealed class KvProfile
{
    private KvProfile(string name, KvLimits limits, IKvLagModel lag, KvEdgeCacheOptions? edgeCache)
    {
        Name = name;
        Limits = limits;
        Lag = lag;
        EdgeCache = edgeCache;
    }

    /// <summary>
    /// Workers KV as documented: every region receives a write at once, but caches the results of reads for 60 seconds or the time
    /// that the reader gives. With <see cref="KvNamespaceOptions.EnforceWriteRate"/>, each key takes one write per second.
    /// </summary>
    public static KvProfile WorkersKv { get; } = new("WorkersKv", new KvLimits(), KvLag.None, new KvEdgeCacheOptions());

    /// <summary>
    /// The "instant" service (private beta, 2026): a write is pushed to all regions (median 107 ms, p95 181 ms, p99 256 ms), and
    /// nothing is cached. A namespace holds 1 MiB and 10,000 keys, keys have up to 300 bytes, there is no metadata, and lists have one
    /// page. With <see cref="KvNamespaceOptions.EnforceWriteRate"/>, the whole namespace takes one write per second.
    /// </summary>
    public static KvProfile Instant { get; } = new(
        "Instant",
        new KvLimits
        {
            KeyBytesMax = 300,
            ValueBytesMax = 1024 * 1024,
            MetadataBytesMax = 0,
            ListKeysMax = 10_000,
            IsListPaged = false,
            NamespaceKeysMax = 10_000,
            NamespaceBytesMax = 1024 * 1024,
            NamespaceWriteInterval = TimeSpan.FromSeconds(1),
        },
        KvLag.Instant(),
        edgeCache: null);

    /// <summary>The name of the profile.</summary>
    public string Name { get; }

    /// <summary>The limits of a namespace.</summary>
    public KvLimits Limits { get; }

    /// <summary>The replication lag.</summary>
    public IKvLagModel Lag { get; }

    /// <summary>The options of the edge cache; null when regions do not cache.</summary>
    public KvEdgeCacheOptions? EdgeCache { get; }

    /// <summary>
    /// Returns options with the limits, the lag and the edge cache of this profile. The regions stay as they are; options without
    /// regions get one, with the name <c>home</c>.
    /// </summary>
    /// <param name="options">The options to start from; they are not changed.</param>
    /// <returns>The new options.</returns>
    public KvNamespaceOptions Apply(KvNamespaceOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var replication = options.Replication ?? new KvReplicationOptions { Regions = ["home"] };
        return options with { Limits = Limits, Replication = replication with { Lag = Lag, EdgeCache = EdgeCache } };
    }

    /// <summary>Returns the name of the profile.</summary>
    public override string ToString() => Name;
}
