using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>How much memory do regions take, without pending writes, and when every key has some?</summary>
internal static class RegionMemoryQuestions
{
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd", "gru"];

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"region/memory {keys:N0}", session => Ask(session, keys));
        }
    }

    private static void Ask(Session session, int keys)
    {
        var table = new ResultTable($"region/memory: {keys:N0} keys in {s_regions.Length} regions", "B/entry");
        Report(table, "not replicated", keys, static () => new KvStorePeer());
        Report(table, "nothing in flight", keys, static () => Replicated(KvLag.None));
        Report(table, "all has been in flight, and arrived", keys, static () => Replicated(KvLag.Fixed(TimeSpan.FromMilliseconds(20))));
        Report(table, "all in flight to all", keys, static () => Replicated(KvLag.Fixed(TimeSpan.FromHours(1))), isConverging: false);
        Progress.Clear();
        session.Report.Add(table);
    }

    // In a method of its own, so that no stack slot keeps the store alive during the next measurement.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Report(ResultTable table, string name, int keys, Func<KvStorePeer> create, bool isConverging = true)
    {
        var before = MemoryQuestions.SettledBytes();
        using var peer = create();
        peer.Fill(0, keys);
        if (isConverging && peer.IsReplicated)
        {
            peer.Replication.WaitForConvergenceAsync().GetAwaiter().GetResult();
        }

        var bytes = (MemoryQuestions.SettledBytes() - before) / (double)keys;
        table.Add(name, ResultTable.Number(bytes));
    }

    private static KvStorePeer Replicated(IKvLagModel lag) => new(new KvReplicationOptions { Regions = s_regions, Lag = lag });
}
