namespace KvStore;

/// <summary>A service to rehearse: its limits, and how its regions see each other's writes.</summary>
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
    /// Workers KV as it is documented: every write is known everywhere at once, but each region caches what it reads, for 60
    /// seconds or as long as the reader says. One write a second to one key, where <see cref="KvNamespaceOptions.EnforceWriteRate"/>.
    /// </summary>
    public static KvProfile WorkersKv { get; } = new("WorkersKv", new KvLimits(), KvLag.None, new KvEdgeCacheOptions());

    /// <summary>
    /// The "instant" service (private beta, 2026): every write is pushed to all regions (median 107 ms, p95 181 ms, p99 256
    /// ms), and nothing is cached. 1 MiB and 10,000 keys a namespace, keys of up to 300 bytes, no metadata, no paging of
    /// listings. One write a second to the whole namespace, where <see cref="KvNamespaceOptions.EnforceWriteRate"/>.
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

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>What a namespace accepts.</summary>
    public KvLimits Limits { get; }

    /// <summary>How long a write travels.</summary>
    public IKvLagModel Lag { get; }

    /// <summary>How regions cache what they read; null when they don't.</summary>
    public KvEdgeCacheOptions? EdgeCache { get; }

    /// <summary>
    /// Options with the limits, the lag and the caching of this profile in place of their own. Regions stay as they are;
    /// where there are none yet, there is one, with the name <c>home</c>.
    /// </summary>
    /// <param name="options">The options so far.</param>
    /// <returns>The new options.</returns>
    public KvNamespaceOptions Apply(KvNamespaceOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var replication = options.Replication ?? new KvReplicationOptions { Regions = ["home"] };
        return options with { Limits = Limits, Replication = replication with { Lag = Lag, EdgeCache = EdgeCache } };
    }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
