namespace KvStore;

/// <summary>Sets the regions of a namespace, their lag and their edge cache.</summary>
public sealed class KvReplicationBuilder
{
    internal KvReplicationBuilder(KvReplicationOptions options) => Options = options;

    internal KvReplicationOptions Options { get; private set; }

    /// <summary>Sets the regions. The first is the home region, unless <see cref="Home"/> sets another.</summary>
    /// <param name="regions">The names, all different.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Regions(params string[] regions)
    {
        ArgumentNullException.ThrowIfNull(regions);
        return Configure(options => options with { Regions = regions });
    }

    /// <summary>Sets the home region, whose view the namespace itself is.</summary>
    /// <param name="region">One of the regions.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Home(string region) => Configure(options => options with { HomeRegion = region });

    /// <summary>Sets the replication lag; see <see cref="KvLag"/>.</summary>
    /// <param name="lag">The model.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Lag(IKvLagModel lag) => Configure(options => options with { Lag = lag });

    /// <summary>Adds an edge cache to each region, as Workers KV has.</summary>
    /// <param name="change">Returns the new options for the options so far; null to keep them.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder EdgeCache(Func<KvEdgeCacheOptions, KvEdgeCacheOptions>? change = null)
    {
        var cache = Options.EdgeCache ?? new KvEdgeCacheOptions();
        return Configure(options => options with { EdgeCache = change is null ? cache : change(cache) });
    }

    /// <summary>Sets the clock skew of a region; see <see cref="KvReplication.SetClockSkew"/>.</summary>
    /// <param name="region">One of the regions.</param>
    /// <param name="skew">How much the clock is fast; negative when it is slow.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder ClockSkew(string region, TimeSpan skew)
    {
        ArgumentNullException.ThrowIfNull(region);
        var skews = new Dictionary<string, TimeSpan>(Options.ClockSkew ?? new Dictionary<string, TimeSpan>()) { [region] = skew };
        return Configure(options => options with { ClockSkew = skews });
    }

    private KvReplicationBuilder Configure(Func<KvReplicationOptions, KvReplicationOptions> change)
    {
        Options = change(Options);
        return this;
    }
}
