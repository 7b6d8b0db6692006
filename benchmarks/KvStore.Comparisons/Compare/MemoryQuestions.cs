using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>
/// How much memory does an entry take, with key, value and all indexes, and how long does a full garbage collection take? The key and
/// the value have 124 bytes.
/// </summary>
internal static class MemoryQuestions
{
    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000, 5_000_000))
        {
            yield return new($"memory {keys:N0}", session => Ask(session, keys));
        }
    }

    private static void Ask(Session session, int keys)
    {
        var millions = keys / 1_000_000;
        var table = new ResultTable(
            $"memory: {keys:N0} entries, and how long a full collection takes because of them",
            "B/entry", "full GC ms", "min", "max", "empty ms", "GC ms filling", "fill ns/entry");
        var sources = session.Options.Select(PeerSource.InMemory);
        for (var i = 0; i < sources.Length; i++)
        {
            var source = sources[i];
            session.Progress.Show((double)i / sources.Length, source.Name);
            if (source.Create is not { } create)
            {
                table.Add(source.Name, $"missing: {source.MissingBecause}");
                continue;
            }

            var empty = ResultTable.Median(CollectionPauses(session.Options.Rounds));
            var cells = Build(session.Options, keys, create, SettledBytes(), empty);
            table.Add(source.Name, cells);
            if (millions > 0)
            {
                session.Report.Summarize(source.Name, $"B/entry at {millions} M", cells[0]);
                session.Report.Summarize(source.Name, $"full GC at {millions} M: ms", cells[1]);
            }
        }

        Progress.Clear();
        session.Report.Add(table);
    }

    // In a method of its own, so that no stack slot of the caller keeps the store alive during the next measurement.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string[] Build(CompareOptions options, int keys, Func<Peer> create, long before, double emptyPause)
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
        return
        [
            bytesPerEntry.ToString("0", CultureInfo.InvariantCulture),
            ResultTable.Number(ResultTable.Median(pauses)),
            ResultTable.Number(pauses.Min()),
            ResultTable.Number(pauses.Max()),
            ResultTable.Number(emptyPause),
            ResultTable.Number(pausedMs),
            ResultTable.Number(fillNs),
        ];
    }

    /// <summary>Managed bytes after background work has ended.</summary>
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
