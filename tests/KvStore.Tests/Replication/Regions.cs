namespace KvStore.Tests.Replication;

/// <summary>A namespace in three regions, home in jnb, on a clock that a test moves.</summary>
internal sealed class Regions : IDisposable
{
    private readonly KvNamespace _kv;

    public Regions(IKvLagModel? lag = null, KvEdgeCacheOptions? cache = null, KvLimits? limits = null)
        : this(new KvReplicationOptions { Regions = ["jnb", "lhr", "sfo"], Lag = lag ?? KvLag.None, EdgeCache = cache }, limits)
    {
    }

    public Regions(KvReplicationOptions replication, KvLimits? limits = null, string name = "FLAGS") => _kv = KvNamespace.Create(
        name, new KvNamespaceOptions { TimeProvider = Time, Limits = limits ?? new KvLimits(), Replication = replication });

    public FakeTimeProvider Time { get; } = new();

    public KvNamespace Kv => _kv;

    public KvReplication Replication => _kv.Replication!;

    public IKvNamespace Jnb => _kv.InRegion("jnb");

    public IKvNamespace Lhr => _kv.InRegion("lhr");

    public IKvNamespace Sfo => _kv.InRegion("sfo");

    public static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    public static IKvLagModel Fixed(double seconds) => KvLag.Fixed(Seconds(seconds));

    /// <summary>Lags in seconds by pair, one direction given meaning both.</summary>
    public static IKvLagModel Lags(params (string From, string To, double Seconds)[] lags) => KvLag.Matrix(
        lags.ToDictionary(lag => (lag.From, lag.To), lag => Fixed(lag.Seconds)), KvLag.None);

    public void Advance(double seconds) => Time.Advance(Seconds(seconds));

    /// <summary>What each region reads of a key: "jnb lhr sfo", with - for no such key.</summary>
    public async Task<string> See(string key)
    {
        var seen = new List<string>();
        foreach (var region in Replication.Regions)
        {
            seen.Add(await _kv.InRegion(region).GetTextAsync(key) ?? "-");
        }

        return string.Join(' ', seen);
    }

    public void Dispose() => _kv.Dispose();
}
