using System.Runtime.CompilerServices;
using KvStore.Benchmarks.Peers;

namespace KvStore.Benchmarks.Quick;

/// <summary>What do regions cost in memory, with nothing in flight and with everything?</summary>
internal static class RegionMemoryQuestions
{
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd", "gru"];

    public static void Ask(QuickOptions options)
    {
        if (!options.Asks("region/memory"))
        {
            return;
        }

        foreach (var keys in options.KeyCounts(1_000_000))
        {
            Console.WriteLine();
            Console.WriteLine($"region/memory: {keys:N0} keys in {s_regions.Length} regions, managed bytes an entry");
            Report("not replicated", keys, static () => new KvStorePeer());
            Report("nothing in flight", keys, static () => Replicated(KvLag.None));
            Report("all has been in flight, and arrived", keys, static () => Replicated(KvLag.Fixed(TimeSpan.FromMilliseconds(20))));
            Report("all in flight to all", keys, static () => Replicated(KvLag.Fixed(TimeSpan.FromHours(1))), isConverging: false);
        }
    }

    // In a method of its own, so that no stack slot keeps the store alive into the next measurement.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Report(string name, int keys, Func<KvStorePeer> create, bool isConverging = true)
    {
        var before = MemoryQuestions.SettledBytes();
        using var peer = create();
        peer.Fill(0, keys);
        if (isConverging && peer.IsReplicated)
        {
            peer.Replication.WaitForConvergenceAsync().GetAwaiter().GetResult();
        }

        var bytes = (MemoryQuestions.SettledBytes() - before) / (double)keys;
        Console.WriteLine($"  {name,-40} {bytes,10:0.0}");
    }

    private static KvStorePeer Replicated(IKvLagModel lag) => new(new KvReplicationOptions { Regions = s_regions, Lag = lag });
}
