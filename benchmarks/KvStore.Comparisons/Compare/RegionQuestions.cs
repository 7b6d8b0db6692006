using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>How much longer does a get in a region take?</summary>
internal static class RegionQuestions
{
    private const string Plain = "not replicated, GetAsync";
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd", "gru"];

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1000, 100_000))
        {
            yield return new($"region/get {keys:N0}", session => Ask(session, keys));
        }
    }

    // In a method of its own, so that nothing keeps the stores of one size alive while the next is measured.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Ask(Session session, int keys)
    {
        using var plain = new KvStorePeer();
        using var settled = Replicated(KvLag.None);
        using var busy = Replicated(KvLag.Fixed(TimeSpan.FromHours(1)));
        using var cached = Replicated(KvLag.None, new KvEdgeCacheOptions { CacheTtl = TimeSpan.FromHours(1) });
        foreach (var peer in new[] { plain, settled, busy, cached })
        {
            peer.Fill(0, keys);
        }

        var access = Workload.Uniform(keys, Math.Clamp(keys, 4096, 500_000));
        var (there, inFlight, fromCache) = (settled.InRegion("lhr"), busy.InRegion("lhr"), cached.InRegion("lhr"));
        new SideBySide($"region/get: hit, {keys:N0} keys, uniform; what a region adds", session) { Baseline = Plain, Unit = "ns/op" }.Run(
        [
            new(Plain, access.Length, 1, range => plain.GetEntryAll(access.Part(range))),
            new("its home region, GetAsync", access.Length, 1, range => settled.GetEntryAll(access.Part(range))),
            new("another region, GetAsync", access.Length, 1, range => there.GetEntryAll(access.Part(range))),
            new("not replicated, TryGet", access.Length, 1, range => plain.GetAll(access.Part(range))),
            new("its home region, TryGet", access.Length, 1, range => settled.GetAll(access.Part(range))),
            new("not replicated, GetTextAsync", access.Length, 1, range => plain.GetTextAll(access.Part(range))),
            new("another region, GetTextAsync", access.Length, 1, range => there.GetTextAll(access.Part(range))),
            new("a region to which all is in flight", access.Length, 1, range => inFlight.GetEntryAll(access.Part(range))),
            new("a region that caches", access.Length, 1, range => fromCache.GetEntryAll(access.Part(range))),
        ]);
    }

    private static KvStorePeer Replicated(IKvLagModel lag, KvEdgeCacheOptions? cache = null) =>
        new(new KvReplicationOptions { Regions = s_regions, Lag = lag, EdgeCache = cache });
}
