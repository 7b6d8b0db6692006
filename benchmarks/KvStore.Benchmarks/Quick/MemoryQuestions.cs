using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Benchmarks.Peers;

namespace KvStore.Benchmarks.Quick;

/// <summary>
/// How much memory does an entry take, and how long does the collector stop the process because of it? Key, value and
/// every index included; the payload alone is 124 bytes.
/// </summary>
internal static class MemoryQuestions
{
    public static void Ask(QuickOptions options)
    {
        if (!options.Asks("memory") && !options.Asks("gc"))
        {
            return;
        }

        foreach (var keys in options.KeyCounts(1_000_000, 5_000_000))
        {
            Console.WriteLine();
            Console.WriteLine($"memory and gc, {keys:N0} keys");
            Console.WriteLine(
                $"  {"",-34} {"B/entry",10} {"full GC ms",11} {"min",9} {"max",9} {"empty ms",10} {"GC ms filling",14} {"fill ns",9}");
            Report(options, keys, static () => new KvStorePeer());
            Report(options, keys, static () => new ConcurrentDictionaryPeer());
            Report(options, keys, static () => new TtlDictionaryPeer());
            Report(options, keys, static () => new MemoryCachePeer());
        }
    }

    private static void Report(QuickOptions options, int keys, Func<Peer> create)
    {
        var emptyPauses = CollectionPauses(options.Rounds);
        var before = SettledBytes();
        var line = Build(options, keys, create, before, ResultTable.Median(emptyPauses));
        Console.WriteLine(line);
    }

    // In a method of its own, so that no stack slot of the caller keeps the store alive into the next measurement.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string Build(QuickOptions options, int keys, Func<Peer> create, long before, double emptyPause)
    {
        using var peer = create();
        var pausedBefore = GC.GetTotalPauseDuration();
        var start = Stopwatch.GetTimestamp();
        peer.Fill(0, keys);
        var fillNs = Stopwatch.GetElapsedTime(start).TotalNanoseconds / keys;
        var pausedMs = (GC.GetTotalPauseDuration() - pausedBefore).TotalMilliseconds;
        var bytesPerEntry = (SettledBytes() - before) / (double)keys;
        var pauses = CollectionPauses(options.Rounds);
        GC.KeepAlive(peer);
        return $"  {peer.Name,-34} {bytesPerEntry,10:0.0} {ResultTable.Median(pauses),11:0.00} {pauses.Min(),9:0.00} {pauses.Max(),9:0.00} "
            + $"{emptyPause,10:0.00} {pausedMs,14:0.0} {fillNs,9:0}";
    }

    /// <summary>Managed bytes once background work has come to rest.</summary>
    internal static long SettledBytes()
    {
        var last = long.MaxValue;
        for (var attempt = 0; attempt < 20; attempt++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            var now = GC.GetTotalMemory(forceFullCollection: false);
            if (Math.Abs(now - last) < Math.Max(now / 1000, 4096))
            {
                return now;
            }

            last = now;
            Thread.Sleep(200);
        }

        return last;
    }

    private static double[] CollectionPauses(int rounds)
    {
        var pauses = new double[rounds];
        for (var round = 0; round < rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: false);
            pauses[round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        return pauses;
    }
}
