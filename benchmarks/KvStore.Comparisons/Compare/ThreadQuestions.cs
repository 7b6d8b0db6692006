using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Comparisons.Peers;

namespace KvStore.Comparisons.Compare;

/// <summary>How many operations a second do one and two threads make: reads, writes and both?</summary>
internal static class ThreadQuestions
{
    private const int Accesses = 500_000;
    private const int ReadsPerWrite = 9;
    private const int KeysPerCall = 250;

    private static readonly string[] s_columns =
        ["1 reader", "2 readers", "x", "reader beside writer", "x", "writer", "90/10, 2 threads"];

    /// <summary>The work of one thread: runs operations from an offset on, and returns their number.</summary>
    private delegate int Work(Peer peer, string[] access, int offset);

    public static IEnumerable<Question> All(CompareOptions options)
    {
        foreach (var keys in options.KeyCounts(1_000_000))
        {
            yield return new($"threads {keys:N0}", session => Compare(session, keys));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Compare(Session session, int keys)
    {
        var options = session.Options;
        using var set = new PeerSet(session, PeerSource.InMemory.Where(source => source.IsConcurrent), keys);
        var peers = set.Present.ConvertAll(entry => entry.Peer);

        // A sequence for each thread. With one sequence a thread would find in the caches what the other has read.
        string[][] access = [Workload.Uniform(keys, Accesses, seed: 11), Workload.Uniform(keys, Accesses, seed: 12)];
        var duration = TimeSpan.FromMilliseconds(options.IsShort ? 5 : 150);
        if (!options.IsShort)
        {
            foreach (var peer in peers)
            {
                _ = Round(peer, access, duration);
            }
        }

        var rounds = peers.Select(_ => new double[options.Rounds][]).ToArray();
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < peers.Count; i++)
            {
                var at = (i + round) % peers.Count;
                session.Progress.Show((round + ((double)i / peers.Count)) / options.Rounds, $"round {round + 1}, {peers[at].Name}");
                Settle(options);
                rounds[at][round] = Round(peers[at], access, duration);
            }
        }

        Progress.Clear();
        var table = new ResultTable($"threads: million operations a second, {keys:N0} keys, uniform", s_columns);
        for (var i = 0; i < peers.Count; i++)
        {
            var cells = Enumerable.Range(0, s_columns.Length)
                .Select(column => ResultTable.Number(ResultTable.Median(rounds[i].Select(round => round[column])))).ToArray();
            table.Add(set.Present[i].Source.Name, cells);
            session.Report.Summarize(peers[i].Name, "2 readers: M/s", cells[1]);
            session.Report.Summarize(peers[i].Name, "90/10 on 2 threads: M/s", cells[^1]);
        }

        foreach (var source in set.Missing)
        {
            table.Add(source.Name, $"missing: {source.MissingBecause}");
        }

        session.Report.Add(table);
    }

    // The background work of a store after writes must not slow down the reader that is measured next.
    private static void Settle(CompareOptions options)
    {
        GC.Collect(1);
        if (!options.IsShort)
        {
            Thread.Sleep(300);
        }
    }

    private static double[] Round(Peer peer, string[][] access, TimeSpan duration)
    {
        // Once before and once after, because the caches are colder for the first measurement.
        var oneBefore = Measure(peer, access, duration, Read)[0];
        var two = Measure(peer, access, duration, Read, Read).Sum();
        var one = (oneBefore + Measure(peer, access, duration, Read)[0]) / 2;
        var mixed = Measure(peer, access, duration, Read, Write);
        var ninety = Measure(peer, access, duration, ReadMostly, ReadMostly).Sum();
        return [one, two, two / one, mixed[0], mixed[0] / one, mixed[1], ninety];
    }

    private static int Read(Peer peer, string[] access, int offset)
    {
        SinkOf(peer.GetAll(new ArraySegment<string>(access, offset, KeysPerCall)));
        return KeysPerCall;
    }

    private static int Write(Peer peer, string[] access, int offset)
    {
        peer.PutAll(new ArraySegment<string>(access, offset, KeysPerCall), s_value);
        return KeysPerCall;
    }

    private static int ReadMostly(Peer peer, string[] access, int offset)
    {
        var keys = new ArraySegment<string>(access, offset, KeysPerCall);
        while (keys.Count > 0)
        {
            SinkOf(peer.GetAll(keys[..ReadsPerWrite]));
            peer.PutAll(keys[ReadsPerWrite..(ReadsPerWrite + 1)], s_value);
            keys = keys[(ReadsPerWrite + 1)..];
        }

        return KeysPerCall;
    }

    /// <summary>Runs each function on a thread of its own for some time.</summary>
    /// <returns>Million operations a second, per thread.</returns>
    private static double[] Measure(Peer peer, string[][] access, TimeSpan duration, params Work[] works)
    {
        var rates = new double[works.Length];
        using var start = new Barrier(works.Length);
        var threads = works.Select((work, index) => new Thread(() =>
        {
            start.SignalAndWait();
            rates[index] = Loop(work, peer, access[index], duration);
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        return rates;
    }

    private static double Loop(Work work, Peer peer, string[] access, TimeSpan duration)
    {
        var start = Stopwatch.GetTimestamp();
        var operations = 0L;
        var offset = 0;
        TimeSpan elapsed;
        do
        {
            operations += work(peer, access, offset);
            offset = offset + (2 * KeysPerCall) > access.Length ? 0 : offset + KeysPerCall;
            elapsed = Stopwatch.GetElapsedTime(start);
        }
        while (elapsed < duration);
        return operations / elapsed.TotalMicroseconds;
    }

    [ThreadStatic]
    private static long s_sink;

    private static readonly byte[] s_value = Workload.Value(1);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SinkOf(int result) => s_sink += result;
}
