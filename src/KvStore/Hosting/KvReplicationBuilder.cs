using KvStore;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Says which regions a namespace shall have, and how late each sees what was written in another.</summary>
public sealed class KvReplicationBuilder
{
    internal KvReplicationBuilder(KvReplicationOptions options) => Options = options;

    internal KvReplicationOptions Options { get; private set; }

    /// <summary>Names the regions; the first is home unless <see cref="Home"/> says otherwise.</summary>
    /// <param name="regions">The names, all different.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Regions(params string[] regions)
    {
        ArgumentNullException.ThrowIfNull(regions);
        return Configure(options => options with { Regions = regions });
    }

    /// <summary>Says which region's view the namespace itself is.</summary>
    /// <param name="region">One of the regions.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Home(string region) => Configure(options => options with { HomeRegion = region });

    /// <summary>Says how long a write travels from region to region; see <see cref="KvLag"/>.</summary>
    /// <param name="lag">The model.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder Lag(IKvLagModel lag) => Configure(options => options with { Lag = lag });

    /// <summary>Lets each region cache what it reads, as the classic service does.</summary>
    /// <param name="change">Makes the options of the defaults; null for the defaults.</param>
    /// <returns>This builder.</returns>
    public KvReplicationBuilder EdgeCache(Func<KvEdgeCacheOptions, KvEdgeCacheOptions>? change = null)
    {
        var cache = Options.EdgeCache ?? new KvEdgeCacheOptions();
        return Configure(options => options with { EdgeCache = change is null ? cache : change(cache) });
    }

    /// <summary>Sets the clock of a region wrong; see <see cref="KvReplication.SetClockSkew"/>.</summary>
    /// <param name="region">One of the regions.</param>
    /// <param name="skew">By how much it is fast; negative when slow.</param>
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
